import { Command } from 'commander';
import type { StartValues } from '../supervisor/start-options.ts';
import { withExitCode } from './exit-code.ts';

const addStartOptions = (command: Command): Command =>
  command
    .option('--port <N>', 'the public port (default: PORT, else the port of the last start, else 3000)')
    .option('--only <services>', 'start only these services, separated by commas')
    .option('--no-seed', 'do not run the seed of jogakbo.config.ts')
    .option('--dense', 'run all services in one process: less memory, no isolation');

export const declareStart = (): Command =>
  addStartOptions(new Command('start'))
    .description('build changed services, migrate, seed and run the whole store')
    .option('-d, --detach', 'return when the store is ready; it keeps running in the background')
    .action(
      withExitCode(async (values: StartValues) => (await import('../commands/start.ts')).start(values)),
    );

export const declareSupervise = (): Command =>
  addStartOptions(new Command('supervise'))
    .description('the background process of start --detach')
    .action(
      withExitCode(async (values: StartValues) => (await import('../commands/start.ts')).supervise(values)),
    );
