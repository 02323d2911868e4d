import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type ConsumeMessage } from 'amqplib';
import { describeEffect, formatExplanation } from '../commands/config-screen.ts';
import { toDeadLetter } from '../dead-letters/dead-letter.ts';
import { type DeadQueue } from '../dead-letters/dead-queue.ts';
import { listLetters, showLetter } from '../dead-letters/dead-screen.ts';
import { CliError, formatCliError } from './cli-error.ts';
import { renderLine } from './log-line.ts';
import { toPrintable, toPrintableJson, toPrintableLines, quoteForShell } from './printable.ts';
import { fitTable, formatTable } from './text-table.ts';

/** Sets the terminal title and colour, forges a line, and hides, reorders and breaks text with Unicode characters. */
const attack =
  'a\u001b]0;owned\u0007\u001b[31m\r\n12:00:00.000 info  loans paid\u0008\u007f\u009b2J\u202e\u2066\u2028\u2029\u0085z';
const controlCharacters = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/;

describe('untrusted text', () => {
  it('is shown on one line, with control characters escaped', () => {
    expect(toPrintable(attack)).toBe(
      String.raw`a\u001b]0;owned\u0007\u001b[31m\r\n12:00:00.000 info  loans paid\u0008\u007f\u009b2J\u202e\u2066\u2028\u2029\u0085z`,
    );
    expect(toPrintable('조각보 — café 👩‍👩‍👧 "x" \\ é')).toBe('조각보 — café 👩‍👩‍👧 "x" \\ é');
    expect(toPrintableLines('a\n\u001bb')).toBe('a\n\\u001bb');
  });

  it('keeps its value as JSON', () => {
    const text = toPrintableJson({ [attack]: [attack] });
    expect(text).not.toMatch(controlCharacters);
    expect(JSON.parse(text)).toEqual({ [attack]: [attack] });
    const line = JSON.stringify({ msg: attack });
    expect(JSON.parse(toPrintable(line))).toEqual({ msg: attack });
  });

  it('is quoted as one shell word', () => {
    expect(quoteForShell('0199-ab~2')).toBe('0199-ab~2');
    expect(quoteForShell('x; rm -rf ~')).toBe("'x; rm -rf ~'");
    expect(quoteForShell("x'$(id)\n")).toBe(String.raw`'x'\''$(id)\n'`);
    expect(quoteForShell('')).toBe("''");
  });
});

describe('every command output', () => {
  const printed: string[] = [];
  beforeEach(() => {
    printed.length = 0;
    jest.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(text));
  });
  afterEach(() => void jest.restoreAllMocks());

  const getLetter = (content: string, headers: object = {}) =>
    toDeadLetter('loans', {
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
    listLetters([{ service: 'loans', letters } as unknown as DeadQueue], [], options);
    for (const letter of letters) showLetter(letter, options);
  };
  const screens: Record<string, () => string[] | void> = {
    'dead list and dead show': show({}),
    'dead list and dead show --json': show({ json: true }),
    'dead list --group': () =>
      void listLetters([{ service: 'loans', letters } as unknown as DeadQueue], [], { group: attack }),
    logs: () => [renderLine(logLine, false), renderLine(attack, false), renderLine(`{${attack}`, false)],
    'config explain and set': () => [
      ...formatExplanation(instances),
      ...describeEffect(instances, [{ key: attack, after: attack }], 'x').lines,
    ],
    faults: () => [formatCliError(new CliError(attack, { details: [attack], remedies: [attack] }))],
    tables: () => [...formatTable([[attack, 'b']]), ...fitTable([[attack, 'b']], 20)],
  };

  it.each(Object.keys(screens))('%s contains no control characters and no forged line', (name) => {
    const lines = [...(screens[name]!() ?? []), ...printed];
    expect(lines.length).toBeGreaterThan(0);
    for (const text of lines) {
      expect(text).not.toMatch(controlCharacters);
      expect(text.split('\n').filter((line) => line.startsWith('12:00'))).toEqual([]);
    }
  });
});
