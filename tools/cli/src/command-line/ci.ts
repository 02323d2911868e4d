import { Command } from 'commander';
import type { CiOptions } from '../commands/ci.ts';
import { withExitCode } from './exit-code.ts';

export const declareCi = (): Command =>
  new Command('ci')
    .description('run the steps of the CI server on this machine, up to the first that fails')
    .argument('<pipeline>', 'pull-request, main or nightly')
    .option(
      '--base <commit>',
      'the commit that a pull request is compared with (default: its target branch, else main)',
    )
    .option('--url <url>', 'the address of a running store: tested by main, compared with by a pull request')
    .option('--list', 'show the steps; run nothing')
    .option('--dry-run', 'show the command of each step; run nothing')
    .action(
      withExitCode(async (pipeline: string, options: CiOptions) =>
        (await import('../commands/ci.ts')).ci(pipeline, options),
      ),
    );
