import type { Argument, Command, Option } from 'commander';
import { formatMarkdownTable, toCode, toMarkdown } from '../markdown.ts';
import { startPage } from './contract-pages.ts';

/** The page with all commands, from their declarations. @param program of `createProgram` */
export function formatCommands(program: Command): string {
  const help = program.createHelp();
  const format = (command: Command, path: string, level: number): string[] => [
    `${'#'.repeat(level)} ${path}`,
    '',
    `${toMarkdown(help.commandDescription(command))}`,
    '',
    ...(command.commands.length > 0 && command.registeredArguments.length === 0 && level > 1
      ? []
      : ['```text', `npx ${path} ${command.usage()}`.trim(), '```', '']),
    ...formatParts(command, help.visibleOptions(command) as Option[]),
    ...help
      .visibleCommands(command)
      .filter((one) => one.name() !== 'help')
      .flatMap((one) => format(one as Command, `${path} ${one.name()}`, level + 1)),
  ];
  return [
    ...startPage(
      'Command line',
      '`npx jogakbo` runs the store and operates it. Exit codes: 0 done, 1 failed, 2 invalid command line, 130 interrupted.',
    ),
    ...help
      .visibleCommands(program)
      .filter((one) => one.name() !== 'help')
      .flatMap((one) => format(one as Command, `jogakbo ${one.name()}`, 2)),
  ].join('\n');
}

function formatParts(command: Command, options: readonly Option[]): string[] {
  const named = options.filter(({ long }) => long !== '--help');
  const rows = [
    ...command.registeredArguments.map((one) => [toCode(formatArgument(one)), toMarkdown(one.description)]),
    ...named.map((one) => [toCode(one.flags), toMarkdown(describeOption(one))]),
  ];
  return rows.length > 0 ? [...formatMarkdownTable([['Argument or option', 'Meaning'], ...rows]), ''] : [];
}

function formatArgument(argument: Argument): string {
  const name = argument.name() + (argument.variadic ? '...' : '');
  return argument.required ? `<${name}>` : `[${name}]`;
}

function describeOption({ description, defaultValue, negate }: Option): string {
  const isShown = defaultValue !== undefined && !negate && typeof defaultValue !== 'boolean';
  return isShown ? `${description} (default: ${String(defaultValue)})` : description;
}
