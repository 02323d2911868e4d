import { Command } from 'commander';
import type { SplitOptions } from '../commands/split.ts';
import { withExitCode } from './exit-code.ts';

export const declareSplit = (): Command =>
  new Command('split')
    .description(
      'route a share of the calls to certain versions of a service; without shares, show the splits',
    )
    .argument('[service]', 'the name of a service (default: all)')
    .argument('[shares...]', 'version=percent, such as 1.4.0=10%; the rest goes to all other versions')
    .option('--end', 'remove the split: all versions share the calls')
    .option('-m, --reason <reason>', 'the reason; stored with the change')
    .option('--json', 'print JSON')
    .action(
      withExitCode(async (service: string | undefined, shares: string[], options: SplitOptions) =>
        (await import('../commands/split.ts')).split(service, shares, options),
      ),
    );
