import { Command } from 'commander';
import { withExitCode } from './exit-code.ts';

export const declareWithBackingServices = (): Command =>
  new Command('with-backing-services')
    .description('run a command with a throw-away RabbitMQ and PostgreSQL')
    .usage('[options] -- <command...>')
    .argument('<command...>', 'the command with its arguments')
    // The options of the command are its own.
    .passThroughOptions()
    .action(
      withExitCode(async ([command, ...args]: [string, ...string[]]) =>
        (await import('../commands/with-backing-services.ts')).withBackingServices(command, args),
      ),
    );
