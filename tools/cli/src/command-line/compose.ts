import { Command } from 'commander';
import type { ComposeOptions } from '../commands/compose.ts';
import { withExitCode } from './exit-code.ts';

export const declareCompose = (): Command =>
  new Command('compose')
    .description('show the compose file of all services, for Docker')
    .option('--write', 'write docker-compose.yml')
    .action(
      withExitCode(async (options: ComposeOptions) =>
        (await import('../commands/compose.ts')).compose(options),
      ),
    );
