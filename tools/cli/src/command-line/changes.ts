import { Command } from 'commander';
import type { ChangesOptions } from '../commands/changes.ts';
import { withExitCode } from './exit-code.ts';

export const declareChanges = (): Command =>
  new Command('changes')
    .description('show which services the current change would deploy, and why; needs no running store')
    .option('--base <commit>', 'the branch that the change goes to', 'main')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (options: ChangesOptions) =>
        (await import('../commands/changes.ts')).changes(options),
      ),
    );
