import { Command } from 'commander';
import type { LogsOptions } from '../commands/logs.ts';
import { withExitCode } from './exit-code.ts';

export const declareLogs = (): Command =>
  new Command('logs')
    .description('show the logs of the services, merged by time')
    .argument(
      '[services...]',
      'names of logs, such as loans, supervisor or broker (default: all services and the supervisor)',
    )
    .option('-f, --follow', 'keep printing new lines')
    .option('-n, --lines <N>', 'the number of initial lines', '100')
    .option(
      '--trace <id>',
      'one request across all services, by trace id or a prefix of it; without -n and -f',
    )
    .option('--json', 'print the lines as JSON, unformatted')
    .action(
      withExitCode(async (services: string[], options: LogsOptions) =>
        (await import('../commands/logs.ts')).logs(services, options),
      ),
    );
