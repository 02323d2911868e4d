import { Command } from 'commander';
import type { OwnersOptions } from '../commands/owners.ts';
import { withExitCode } from './exit-code.ts';

export const declareOwners = (): Command =>
  new Command('owners')
    .description('show which team reviews which folder: the file CODEOWNERS of GitHub and GitLab')
    .option('--write', 'write docs/CODEOWNERS')
    .action(
      withExitCode(async (options: OwnersOptions) => (await import('../commands/owners.ts')).owners(options)),
    );
