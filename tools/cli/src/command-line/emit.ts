import { Command } from 'commander';
import type { EmitOptions } from '../commands/emit.ts';
import { withExitCode } from './exit-code.ts';

export const declareEmit = (): Command =>
  new Command('emit')
    .description(
      'publish an event in the name of its service, to try out those that receive it (local mode only)',
    )
    .argument('<event>', 'the name of an event, such as library.book-lent')
    .option(
      '--data <json>',
      'fields that replace those of the example from the contract, as JSON; - reads stdin',
    )
    .action(
      withExitCode(async (event: string, options: EmitOptions) =>
        (await import('../commands/emit.ts')).emit(event, options),
      ),
    );
