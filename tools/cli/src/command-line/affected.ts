import { Command } from 'commander';
import type { AffectedOptions } from '../commands/affected.ts';
import { withExitCode } from './exit-code.ts';

export const declareAffected = (): Command =>
  new Command('affected')
    .description('show the projects that a change affects, or check them')
    .argument('[targets...]', 'runs these Nx targets of the projects, such as lint test build')
    .option('--base <revision>', 'the Git revision to compare with', 'main')
    .option('--json', 'print the projects as JSON')
    .action(
      withExitCode(async (targets: string[], options: AffectedOptions) =>
        (await import('../commands/affected.ts')).affected(targets, options),
      ),
    );
