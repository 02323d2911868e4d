import { Command } from 'commander';
import type { RemoveOptions } from '../commands/remove.ts';
import { withExitCode } from './exit-code.ts';

export function declareRemove(): Command {
  const remove = new Command('remove').description('remove a part of the workspace');
  remove
    .command('service')
    .description('remove a service: its folder, its contract and what is generated from them')
    .argument('<name>', 'the name of a service')
    .option('--data', 'also delete its database, queues, login and secrets in the store that runs here')
    .option('--dry-run', 'only show what would be removed')
    .option('-y, --yes', 'do not ask')
    .action(
      withExitCode(async (name: string, options: RemoveOptions) =>
        (await import('../commands/remove.ts')).removeService(name, options),
      ),
    );
  return remove;
}
