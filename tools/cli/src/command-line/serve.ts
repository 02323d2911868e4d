import { Command } from 'commander';
import type { ServeOptions } from '../commands/serve.ts';
import { withExitCode } from './exit-code.ts';

const help = `
In a running store the service replaces the store's own process until you end this command. Without a store it runs alone:
with a broker, a database and the gateway of its own, and with stubs of the services that it calls. They answer examples from
the contracts, or what apps/<service>/stubs.ts says.`;

const collect = (value: string, all: string[] = []): string[] => [...all, value];

export const declareServe = (): Command =>
  new Command('serve')
    .description('run one service from source and restart it after each change')
    .argument('<service>', 'the name of a service')
    .option('--version <version>', 'run it as this version, beside the service of the running store')
    .option(
      '--stub <request=failure>',
      'alone: the stub of this request answers a rejection code, fault or timeout; repeatable',
      collect,
    )
    .addHelpText('after', help)
    .action(
      withExitCode(async (service: string, options: ServeOptions) =>
        (await import('../commands/serve.ts')).serve(service, options),
      ),
    );
