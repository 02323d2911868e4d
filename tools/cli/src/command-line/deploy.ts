import { Command } from 'commander';
import type { DeployOptions } from '../commands/deploy.ts';
import type { HistoryOptions } from '../commands/history.ts';
import type { RollbackOptions } from '../commands/rollback.ts';
import type { ScaleOptions } from '../commands/scale.ts';
import { withExitCode } from './exit-code.ts';

const reasonText = 'the reason; recorded in the history';

const environmentFlags = '-e, --environment <name>';
const environmentText = 'an environment of jogakbo.config.ts (default: local, the store on this machine)';

export const declareDeploy = (): Command =>
  new Command('deploy')
    .description('deploy the services that differ from what runs; each one in steps, and back if it is worse')
    .argument('[services...]', 'only these services (default: all that differ)')
    .option(environmentFlags, environmentText)
    .option('--plan', 'show what would be deployed, and why; change nothing')
    .option('--json', 'print the plan as JSON')
    .option('--steps <percentages>', 'the shares of the calls for the new version (default: 10,50,100)')
    .option(
      '--watch <seconds>',
      'how long each step is compared with the old version (default: 1.5; docker 10; kubernetes 30)',
    )
    .option('--wait', 'wait for another deployment instead of refusing')
    .option('-m, --reason <reason>', reasonText)
    .action(
      withExitCode(async (services: string[], options: DeployOptions) =>
        (await import('../commands/deploy.ts')).deploy(services, options),
      ),
    );

export const declareRollback = (): Command =>
  new Command('rollback')
    .description('run the previous version of a service again')
    .argument('<service>', 'the name of a service of the running store')
    .option(environmentFlags, environmentText)
    .option('--to <version>', 'this version, as shown by jogakbo history')
    .option('-m, --reason <reason>', reasonText)
    .action(
      withExitCode(async (service: string, options: RollbackOptions) =>
        (await import('../commands/rollback.ts')).rollback(service, options),
      ),
    );

export const declareScale = (): Command =>
  new Command('scale')
    .description('set the number of instances of a service')
    .argument('<service>', 'the name of a service of the running store')
    .argument('<count>', 'the number of instances')
    .option(environmentFlags, environmentText)
    .action(
      withExitCode(async (service: string, count: string, options: ScaleOptions) =>
        (await import('../commands/scale.ts')).scale(service, count, options),
      ),
    );

export const declareHistory = (): Command =>
  new Command('history')
    .description('show what was deployed when, with which outcome')
    .argument('[service]', 'only this service')
    .option(environmentFlags, environmentText)
    .option('--limit <count>', 'the number of deployments (default: 20)')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (service: string | undefined, options: HistoryOptions) =>
        (await import('../commands/history.ts')).history(service, options),
      ),
    );
