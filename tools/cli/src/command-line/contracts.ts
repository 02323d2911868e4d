import { Command } from 'commander';
import type { ContractsOptions } from '../commands/contracts.ts';
import { withExitCode } from './exit-code.ts';

const load = () => import('../commands/contracts.ts');

const declareOptions = (command: Command): Command =>
  command
    .option('--url <url>', 'the gateway of another environment (default: the store of this machine)')
    .option('--json', 'print JSON');

export function declareContracts(): Command {
  const contracts = new Command('contracts').description(
    'compare the contracts of this workspace with the versions that are running',
  );
  declareOptions(
    contracts
      .command('check')
      .description(
        'check whether the built services may be deployed: exit code 1 if that would break something, 2 if it cannot be checked',
      )
      .argument('[services...]', 'the services to deploy (default: all of this workspace)'),
  ).action(
    withExitCode(async (services: string[], options: ContractsOptions) =>
      (await load()).checkContractsOf(services, options),
    ),
  );
  declareOptions(
    contracts.command('list').description('list the running versions with the hashes of their contracts'),
  ).action(withExitCode(async (options: ContractsOptions) => (await load()).listContracts(options)));
  return contracts;
}
