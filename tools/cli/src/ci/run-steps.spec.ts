import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { root } from '../workspace.ts';
import type { Step } from './pipelines.ts';
import { formatCommand, runSteps } from './run-steps.ts';

let folder: string;
const printed: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-ci-'));
  printed.length = 0;
  for (const method of ['log', 'error'] as const)
    jest.spyOn(console, method).mockImplementation((text: string) => void printed.push(...text.split('\n')));
});
afterEach(() => {
  jest.restoreAllMocks();
  delete process.env.GITHUB_STEP_SUMMARY;
  rmSync(folder, { recursive: true });
});

/** A step that writes its name to a file, and ends with this code. */
const createStep = (name: string, code = 0, more: Partial<Step> = {}): Step => ({
  ...{ name, title: `the step ${name}`, command: write(name, code) },
  ...more,
});
const write = (name: string, code = 0, text = '') => [
  ...[process.execPath, '-e'],
  `require('fs').appendFileSync(process.argv[1], ${JSON.stringify(`${name} `)}); if (process.argv[2]) console.log(process.argv[2]); process.exit(${code})`,
  join(folder, 'ran'),
  text,
];
const readRan = () => readFileSync(join(folder, 'ran'), 'utf8').trim().split(' ');
/** The rows of the table at the end, without the times. */
const readTable = () =>
  printed
    .slice(printed.findIndex((line) => line.startsWith('STEP')))
    .map((line) => line.replace(/ +\d+ s$/, ''));

describe('the steps of a pipeline', () => {
  it('run in their order', async () => {
    expect(await runSteps(['one', 'two', 'three'].map((name) => createStep(name)))).toBe(0);
    expect(readRan()).toEqual(['one', 'two', 'three']);
    expect(readTable()).toEqual(['STEP   RESULT  TIME', 'one    ok', 'two    ok', 'three  ok']);
  });

  it('end with the first that fails and its exit code, except those that always run', async () => {
    const steps = [
      createStep('one'),
      createStep('two', 7),
      createStep('three'),
      createStep('four', 0, { always: true }),
    ];
    expect(await runSteps(steps)).toBe(7);
    expect(readRan()).toEqual(['one', 'two', 'four']);
    expect(readTable().map((line) => line.replace(/ {2,}/, ': '))).toEqual([
      ...['STEP: RESULT   TIME', 'one: ok', 'two: failed', 'three: not run', 'four: ok'],
    ]);
    expect(printed.join('\n')).toContain('two failed with exit code 7');
  });

  it('are undone after a failure, by commands that are listed then', async () => {
    const undo = { title: 'back', listCommands: () => readRan().map((name) => write(`undo-${name}`)) };
    expect(await runSteps([createStep('one', 0, { undo }), createStep('two', 1, { undo })])).toBe(1);
    expect(readRan()).toEqual(['one', 'two', 'undo-one', 'undo-two']);
  });

  it('go on after one that is optional', async () => {
    expect(await runSteps([createStep('one', 1, { optional: true }), createStep('two')])).toBe(0);
    expect(readRan()).toEqual(['one', 'two']);
    expect(readTable()[1]).toMatch(/^one +failed/);
  });

  it('can add to the file of an earlier one', async () => {
    jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    const output = relative(root, join(folder, 'output.txt'));
    const first = createStep('one', 0, { output, command: write('one', 0, 'first') });
    const second = createStep('two', 0, { output, appends: true, command: write('two', 0, 'second') });
    expect(await runSteps([first, second])).toBe(0);
    expect(readFileSync(join(root, output), 'utf8')).toBe('first\n\nsecond\n');
  });

  it('fail if their program does not exist', async () => {
    expect(await runSteps([createStep('one', 0, { command: ['surely-not-installed'] })])).toBe(127);
  });

  it('keep their output in a file, and the results on the page of the run', async () => {
    process.env.GITHUB_STEP_SUMMARY = join(folder, 'summary.md');
    jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    const output = relative(root, join(folder, 'new', 'output.txt'));
    expect(await runSteps([createStep('one', 0, { output, command: write('one', 0, 'printed') })])).toBe(0);
    expect(readFileSync(join(root, output), 'utf8')).toBe('printed\n');
    expect(readFileSync(join(folder, 'summary.md'), 'utf8')).toMatch(
      /^\| STEP \| RESULT \| TIME \|\n\| --- \| --- \| --- \|\n\| one \| ok \| \d+ s \|\n$/,
    );
  });
});

it('a command is shown as people type it', () => {
  const shown = formatCommand([
    join(root, 'node_modules/.bin/node'),
    'tools/cli/src/main.ts',
    'smoke',
    '--url',
    "it's",
  ]);
  expect(shown).toBe(`npx jogakbo smoke --url 'it'\\''s'`);
});
