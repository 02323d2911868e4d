import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareSeed = (): Command =>
  new Command('seed')
    .description('run the seed of jogakbo.config.ts again')
    .action(withExitCode(async () => (await import('../commands/seed.ts')).seed()));
