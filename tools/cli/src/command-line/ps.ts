import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declarePs = (): Command =>
  new Command('ps')
    .description('show all processes with their address, uptime and memory')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (options: { json?: boolean }) => (await import('../commands/ps.ts')).ps(options)),
    );
