import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareRestart = (): Command =>
  new Command('restart')
    .description('restart one service; in dense mode with the code loaded at the start of the store')
    .argument('<service>', 'the name of a service of the running store')
    .action(
      withExitCode(async (service: string) => (await import('../commands/restart.ts')).restart(service)),
    );
