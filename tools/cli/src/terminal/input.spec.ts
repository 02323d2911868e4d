import { PassThrough } from 'node:stream';
import { describe, expect, it, jest } from '@jest/globals';
import { setSettings } from '../commands/config.ts';
import { confirm } from './confirm.ts';
import { readSecret } from './read-secret.ts';

/** A terminal, or a pipe, on which this text is typed. */
function createInput(text: string | undefined, isTTY: boolean): NodeJS.ReadStream {
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: () => input });
  setImmediate(() => (text === undefined ? input.end() : input.write(text)));
  return input as unknown as NodeJS.ReadStream;
}

describe('a question', () => {
  it.each([
    ['y\r', true],
    ['Yes\r', true],
    ['no\r', false],
    ['\r', false],
    ['\u0003', false],
    ['\u0004', false],
    [undefined, false],
  ])('with the answer %j is %j', async (text, expected) => {
    expect(await confirm('Sure?', false, createInput(text, true), new PassThrough())).toBe(expected);
  });

  it('needs a terminal, unless --yes is given', async () => {
    await expect(confirm('Sure?', false, createInput('y\n', false))).rejects.toThrow('needs a terminal');
    expect(await confirm('Sure?', true)).toBe(true);
  });
});

describe('a secret on standard input', () => {
  it.each([true, false])('is the first line (terminal: %j)', async (isTTY) => {
    jest.spyOn(process.stderr, 'write').mockImplementation(() => true);
    expect(await readSecret('token', createInput('a secret\r\nmore\r\n', isTTY))).toBe('a secret');
    jest.restoreAllMocks();
  });

  it.each([
    ['an empty input', undefined, false],
    ['an empty line', '\n', false],
    ['Ctrl-C', '\u0003', true],
  ])('is rejected after %s', async (_what, text, isTTY) => {
    jest.spyOn(process.stderr, 'write').mockImplementation(() => true);
    const input = createInput(text, isTTY);
    if (text === '\n') setImmediate(() => (input as unknown as PassThrough).end());
    await expect(readSecret('token', input)).rejects.toThrow('No value was entered for token.');
    jest.restoreAllMocks();
  });

  it('can be only one without a terminal', async () => {
    const options = { profile: 'default', label: 'main', reason: 'new', secret: true };
    await expect(setSettings('renewals', ['a', 'b=1', 'c'], options)).rejects.toThrow(
      'Only one value can be read from standard input, not a and c.',
    );
  });
});
