import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareServe = (): Command =>
  new Command('serve')
    .description('run one service from source and restart it after each change')
    .argument('<service>', 'the name of a service')
    .option('--version <version>', 'run it as this version, beside the service of the running store')
    .action(
      withExitCode(async (service: string, options: { version?: string }) =>
        (await import('../commands/serve.ts')).serve(service, options),
      ),
    );
