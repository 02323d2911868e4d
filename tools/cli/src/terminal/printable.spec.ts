import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type ConsumeMessage } from 'amqplib';
import { describeEffect, explainTable } from '../commands/config-screen.ts';
import { toDeadLetter } from '../dead-letters/dead-letter.ts';
import { type DeadQueue } from '../dead-letters/dead-queue.ts';
import { listLetters, showLetter } from '../dead-letters/dead-screen.ts';
import { CliError, formatFault } from './cli-error.ts';
import { renderLine } from './log-line.ts';
import { printable, printableJson, printableLines, shellWord } from './printable.ts';
import { fitTable, textTable } from './text-table.ts';

/** Sets the title, then the colour; forges a line; hides, reorders and breaks text in the ways of Unicode. */
const attack =
  'a\u001b]0;owned\u0007\u001b[31m\r\n12:00:00.000 info  orders paid\u0008\u007f\u009b2J\u202e\u2066\u2028\u2029\u0085z';
const obeyed = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/;

describe('text that others wrote', () => {
  it('is shown with what a terminal would obey as an escape, on one line', () => {
    expect(printable(attack)).toBe(
      String.raw`a\u001b]0;owned\u0007\u001b[31m\r\n12:00:00.000 info  orders paid\u0008\u007f\u009b2J\u202e\u2066\u2028\u2029\u0085z`,
    );
    expect(printable('조각보 — café 👩‍👩‍👧 "x" \\ é')).toBe('조각보 — café 👩‍👩‍👧 "x" \\ é');
    expect(printableLines('a\n\u001bb')).toBe('a\n\\u001bb');
  });

  it('keeps its value as JSON', () => {
    const text = printableJson({ [attack]: [attack] });
    expect(text).not.toMatch(obeyed);
    expect(JSON.parse(text)).toEqual({ [attack]: [attack] });
    const line = JSON.stringify({ msg: attack });
    expect(JSON.parse(printable(line))).toEqual({ msg: attack });
  });

  it('is one word in a command that is shown to be copied', () => {
    expect(shellWord('0199-ab~2')).toBe('0199-ab~2');
    expect(shellWord('x; rm -rf ~')).toBe("'x; rm -rf ~'");
    expect(shellWord("x'$(id)\n")).toBe(String.raw`'x'\''$(id)\n'`);
    expect(shellWord('')).toBe("''");
  });
});

describe('every screen of the command line', () => {
  const printed: string[] = [];
  beforeEach(() => {
    printed.length = 0;
    jest.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
  });
  afterEach(() => void jest.restoreAllMocks());

  const getLetter = (content: string, headers: object = {}) =>
    toDeadLetter('orders', {
      ...{ content: Buffer.from(content), fields: {} },
      properties: { userId: attack, messageId: attack, replyTo: attack, headers },
    } as unknown as ConsumeMessage);
  const headers = {
    ...{ cause: attack, queue: attack, stack: `Error\n    at x\n${attack}`, [attack]: attack },
    ...{ 'first-failed-at': attack, 'last-failed-at': attack, 'edited-by': attack, 'edited-at': attack },
    nested: { [attack]: [attack] },
  };
  const letters = [
    getLetter(JSON.stringify({ pattern: attack, data: { [attack]: attack } }), headers),
    getLetter(attack, headers),
  ];
  const setting = {
    ...{ key: attack, value: attack, origin: 'default' as const, from: attack, live: true },
    ...{ refused: attack, afterRestart: attack },
  };
  const instances = [{ instance: attack, settings: [setting], unknown: [attack] }];
  const logLine = JSON.stringify({
    ...{ level: 30, time: 1, msg: attack, service: attack, traceId: attack, [attack]: attack },
    err: { message: `${attack}!` },
  });
  const show = (options: object) => () => {
    listLetters([{ service: 'orders', letters } as unknown as DeadQueue], [], options);
    for (const letter of letters) showLetter(letter, options);
  };
  const screens: Record<string, () => string[] | void> = {
    'dead list and dead show': show({}),
    'dead list and dead show --json': show({ json: true }),
    'dead list --group': () =>
      void listLetters([{ service: 'orders', letters } as unknown as DeadQueue], [], { group: attack }),
    logs: () => [renderLine(logLine, false), renderLine(attack, false), renderLine(`{${attack}`, false)],
    'config explain and set': () => [
      ...explainTable(instances),
      ...describeEffect(instances, [{ key: attack, after: attack }], 'x').lines,
    ],
    faults: () => [formatFault(new CliError(attack, { details: [attack], remedies: [attack] }))],
    tables: () => [...textTable([[attack, 'b']]), ...fitTable([[attack, 'b']], 20)],
  };

  it.each(Object.keys(screens))('%s obeys nothing, and has no line that somebody else made', (name) => {
    const lines = [...(screens[name]!() ?? []), ...printed];
    expect(lines.length).toBeGreaterThan(0);
    for (const text of lines) {
      expect(text).not.toMatch(obeyed);
      expect(text.split('\n').filter((line) => line.startsWith('12:00'))).toEqual([]);
    }
  });
});
