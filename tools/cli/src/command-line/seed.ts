import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareSeed = (): Command =>
  new Command('seed')
    .description('add the 200 sample products; existing ones stay unchanged')
    .action(withExitCode(async () => (await import('../commands/seed.ts')).seed()));
