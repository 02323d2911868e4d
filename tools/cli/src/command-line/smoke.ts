import { Command } from 'commander';
import type { SmokeOptions } from '../commands/smoke.ts';
import { withExitCode } from './exit-code.ts';

export const declareSmoke = (): Command =>
  new Command('smoke')
    .description('check a running store from outside: ready, complete, and its public reads without faults')
    .option('--url <url>', 'the address of the store (default: the one on this machine)')
    .action(
      withExitCode(async (options: SmokeOptions) => (await import('../commands/smoke.ts')).smoke(options)),
    );
