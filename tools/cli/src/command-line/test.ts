import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareTest = (): Command =>
  new Command('test')
    .description('check types, lint and run all tests, of all projects or the named ones')
    .argument('[projects...]', 'names of projects (default: all)')
    .option('--full', 'long attacks, long outages and all mutants as well')
    .action(
      withExitCode(async (projects: string[], options: { full?: boolean }) =>
        (await import('../commands/test.ts')).test(projects, options),
      ),
    );
