import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Command } from 'commander';
import { createProgram, listCommands } from './program.ts';
import { runCommandLine } from './run.ts';
import { getPath } from './usage-errors.ts';

const output: string[] = [];
beforeEach(() => {
  output.length = 0;
  for (const method of ['log', 'error'] as const)
    jest.spyOn(console, method).mockImplementation((text: string) => void output.push(text));
  for (const stream of [process.stdout, process.stderr])
    jest.spyOn(stream, 'write').mockImplementation((text) => output.push(String(text)) > 0);
});
afterEach(() => void jest.restoreAllMocks());

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  return { code: await runCommandLine(args), text: output.join('\n') };
}

const commands = listCommands(createProgram());
const leaves = commands.filter((command) => command.commands.length === 0);
const toArgs = (command: Command) => getPath(command).split(' ').filter(Boolean);
/** Valid values for the options that commander checks first. */
const getRequired = (command: Command) =>
  command.options.filter(({ mandatory }) => mandatory).map(({ long }) => `${long}=x`);
const toRow = (command: Command) => [getPath(command) || 'jogakbo', command] as const;

describe('every command', () => {
  it('is in the table of this test', () => expect(commands.length).toBeGreaterThan(30));

  it.each(commands.map(toRow))('%s --help exits with 0 and describes all options', async (_name, command) => {
    const { code, text } = await run(...toArgs(command), '--help');
    expect(code).toBe(0);
    expect(text).toContain(`Usage: jogakbo ${getPath(command)}`.trim());
    for (const { flags, description } of command.options) {
      expect(text).toContain(flags);
      expect(text.replace(/\s+/g, ' ')).toContain(description);
    }
    for (const argument of command.registeredArguments)
      expect(text.replace(/\s+/g, ' ')).toContain(argument.description);
    for (const { description } of [...command.options, ...command.registeredArguments])
      expect(description).not.toBe('');
  });

  it.each(leaves.map(toRow))('%s rejects an unknown option with a suggestion', async (_name, command) => {
    const { code, text } = await run(...toArgs(command), ...getRequired(command), '--hepl');
    expect(code).toBe(2);
    expect(text).toContain("Unknown option '--hepl'.");
    expect(text).toContain('  - did you mean --help?');
    expect(text).toContain(`  - npx jogakbo ${getPath(command)} --help`);
    expect(text).not.toMatch(/^\s+at /m);
  });

  it.each(leaves.filter((one) => !one.registeredArguments.at(-1)?.variadic).map(toRow))(
    '%s rejects an excess argument',
    async (_name, command) => {
      const needed = command.registeredArguments.map((argument) => argument.name());
      const { code, text } = await run(...toArgs(command), ...needed, ...getRequired(command), 'excess');
      expect(code).toBe(2);
      expect(text).toContain(`"${getPath(command)}" accepts no argument "excess".`);
    },
  );

  it.each(
    leaves.flatMap((command) =>
      command.options
        .filter(({ required }) => required)
        .map(({ long }) => [getPath(command), long!] as const),
    ),
  )('%s %s rejects a missing value', async (path, option) => {
    const { code, text } = await run(...path.split(' '), option, '--help');
    expect({ code, text }).toEqual({ code: 2, text: expect.stringContaining('Its value is missing.') });
  });
});

describe('the command line', () => {
  it.each([
    [['strat'], 'There is no command "strat".', 'did you mean start?'],
    [['dead', 'lst'], '"dead" does not know "lst".', 'did you mean list?'],
    [['start', '--detch'], "Unknown option '--detch'.", 'did you mean --detach?'],
    [['dead', 'list', '--rate', '5'], "Unknown option '--rate'.", 'npx jogakbo dead list --help'],
    [['dead', 'show'], 'dead show needs the id of a dead letter', 'npx jogakbo dead show --help'],
    [['serve'], 'serve needs the name of a service.', 'npx jogakbo serve --help'],
    [['config', 'set', 'loans', 'a=b'], 'Specify a reason', 'npx jogakbo config --help'],
    [['with-backing-services', '--'], 'needs the command', 'npx jogakbo with-backing-services --help'],
  ])('rejects %j with exit code 2 and a remedy', async (args, reason, remedy) => {
    const { code, text } = await run(...args);
    expect(code).toBe(2);
    expect(text).toContain(reason);
    expect(text).toContain(`  - ${remedy}`);
  });

  it.each([[[]], [['dead']], [['config']]])(
    '%j without a command prints the help, with exit code 2',
    async (args) => {
      const { code, text } = await run(...args);
      expect({ code, text }).toEqual({ code: 2, text: expect.stringContaining('Commands:') });
    },
  );

  it('hides commands that only other parts of the workspace use', async () => {
    const { text } = await run('--help');
    expect(text).not.toMatch(/supervise|with-backing-services/);
    expect((await run('supervize')).text).not.toContain('did you mean');
  });

  it('prints the version, which serve has as an option too', async () => {
    expect(await run('--version')).toEqual({ code: 0, text: expect.stringMatching(/^\d+\.\d+\.\d+\s*$/) });
    expect((await run('serve', 'loans', '--version')).text).toContain('argument missing');
  });
});
