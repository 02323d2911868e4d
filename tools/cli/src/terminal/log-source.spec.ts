import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { LogFile } from '../supervisor/log-file.ts';
import { LogSource } from './log-source.ts';

let folder: string;
const path = () => join(folder, 'loans.log');
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-logs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const toLines = (source: LogSource) => source.readNew().map(({ line }) => line);

it('reads the last lines, and then each line once, also those before and after a rotation', () => {
  const file = new LogFile(folder, 'loans', 60);
  file.write(['1', '2', '3']);
  const source = new LogSource(path(), 2);
  expect(toLines(source).slice(-2)).toEqual(['2', '3']);
  file.write(['4', 'the last one before the rotation']);
  // Longer than what was read of the previous file: the size alone does not show the rotation.
  file.write(['the first one after the rotation', 'and another one']);
  expect(toLines(source)).toEqual([
    '4',
    'the last one before the rotation',
    'the first one after the rotation',
    'and another one',
  ]);
  expect(toLines(source)).toEqual([]);
  file.write(['5']);
  expect(toLines(source)).toEqual(['5']);
});

it('is written by two processes, of which one rotates it', () => {
  const [store, serve] = [new LogFile(folder, 'loans', 60), new LogFile(folder, 'loans', 60)];
  serve.write(['a line of serve, before the rotation']);
  store.write(['a line of the store, which rotates the file']);
  serve.write(['after it']);
  expect(toLines(new LogSource(path()))).toEqual(['a line of the store, which rotates the file', 'after it']);
});

it('reads nothing from a missing file, and all of it once it exists', () => {
  const source = new LogSource(path(), 10);
  expect(source.readNew()).toEqual([]);
  new LogFile(folder, 'loans').write(['1']);
  expect(toLines(source)).toEqual(['1']);
});
