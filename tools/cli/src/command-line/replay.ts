import { Command } from 'commander';
import type { ReplayOptions } from '../commands/replay.ts';
import { withExitCode } from './exit-code.ts';

export const declareReplay = (): Command =>
  new Command('replay')
    .description('publish the events of a service in a time range again (for failed messages: dead replay)')
    .argument('<service>', 'the name of a service that publishes events')
    .requiredOption('--from <time>', 'start, in ISO 8601, such as 2026-11-21T09:00:00Z')
    .option('--to <time>', 'end, exclusive (default: now)')
    .option('--rate <N>', 'events per second', '500')
    .option('-y, --yes', 'skip the confirmation')
    .action(
      withExitCode(async (service: string, options: ReplayOptions) =>
        (await import('../commands/replay.ts')).replay(service, options),
      ),
    );
