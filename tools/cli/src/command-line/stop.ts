import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareStop = (): Command =>
  new Command('stop')
    .description('stop the store and wait until all its processes have ended')
    .action(withExitCode(async () => (await import('../commands/stop.ts')).stop()));
