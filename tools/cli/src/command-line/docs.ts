import { Command } from 'commander';
import type { DocsOptions } from '../commands/docs.ts';
import { withExitCode } from './exit-code.ts';

export const declareDocs = (): Command =>
  new Command('docs')
    .description('list the generated pages of docs/reference: contracts, events, settings, command line')
    .option('--write', 'write them')
    .option('--no-build', 'use the builds that exist')
    .action(
      withExitCode(async (options: DocsOptions, command: Command) =>
        (await import('../commands/docs.ts')).docs(command.parent!, options),
      ),
    );
