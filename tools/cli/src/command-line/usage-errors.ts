import { type Command, type CommanderError } from 'commander';
import { UsageError } from '../terminal/cli-error.ts';

/** The names of a command and its parents, as typed: `dead list`. */
export function getPath(command: Command): string {
  const parent = command.parent && getPath(command.parent);
  return parent === null ? '' : `${parent} ${command.name()}`.trim();
}

/** Describes an error of commander in the words and the form of this command line, with its suggestion as a remedy. */
export function toUsageError({ code, message }: CommanderError, command: Command): UsageError {
  const path = getPath(command);
  const [text = '', suggestion] = message.replace(/^error: /, '').split('\n');
  const meant = suggestion && /^\(Did you mean (.*)\?\)$/.exec(suggestion)?.[1];
  return new UsageError(describe(code, text, command), {
    remedies: [
      ...(meant ? [`did you mean ${meant}?`] : []),
      path ? `npx jogakbo ${path} --help` : 'list all commands:  npx jogakbo --help',
    ],
  });
}

function describe(code: string, text: string, command: Command): string {
  const path = getPath(command);
  const [named = ''] = /(?<=').*(?=')/.exec(text) ?? [];
  if (code === 'commander.unknownCommand')
    return path ? `"${path}" does not know "${named}".` : `There is no command "${named}".`;
  if (code === 'commander.missingArgument') {
    const argument = command.registeredArguments.find((one) => one.name() === named);
    return `${path} needs ${argument?.description ?? named}.`;
  }
  if (code === 'commander.excessArguments') {
    return `"${path}" accepts no argument "${command.args[command.registeredArguments.length]}".`;
  }
  return `${text[0]?.toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, '.');
}
