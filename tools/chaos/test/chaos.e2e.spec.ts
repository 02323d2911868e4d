import { spawn } from 'node:child_process';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { buildServices, listPrograms } from '../src/mutant-workspace.ts';
import { mutants } from '../src/mutants.ts';
import { faultNames } from '../src/schedule.ts';
import { repository } from '../src/store.ts';

/** The command, as a user gives it. */
function chaos(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['tools/chaos/src/main.ts', ...args], {
    cwd: repository,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

describe('two minutes of faults', () => {
  it('lose nothing and apply nothing twice', async () => {
    // With this seed there is every kind of fault in so short a time.
    const { code, output } = await chaos('--seconds', '120', '--seed', '31', '--shoppers', '8');
    // All of it is the message of a failure: it holds the evidence, and the command that runs it again.
    expect(code === 0 ? 'well' : output).toBe('well');
    expect(output).toContain('\n0 violations\n');
    for (const fault of faultNames) expect(output).toMatch(new RegExp(`^ .* s  ${fault} `, 'm'));
    expect(output).toMatch(/\ndied at: .* [1-9]/);
    expect(output).toMatch(/\n1\d of \d+ faults struck; \d{3,} purchases/);
    expect(output).toContain('stopped; no process is left');
  }, 420_000);
});

/** MUTANTS=all runs every one, which takes some ten minutes; any run of all tests runs the quickest. */
const toRun = process.env.MUTANTS === 'all' ? Object.keys(mutants) : ['no-idempotency-record'];

describe('a store that is broken inside', () => {
  beforeAll(() => buildServices(), 120_000);

  it.each(Object.keys(mutants))('can still be made of the built services: %s', (name) => {
    expect(() => listPrograms(mutants[name]!)).not.toThrow();
  });

  it.each(toRun)(
    'is found within three tries: %s',
    async (name) => {
      let last = { code: 0 as number | null, output: '' };
      for (const seed of ['7', '8', '9'])
        if (last.code === 0) last = await chaos('--mutant', name, '--seed', seed);
      expect(last.output).toContain('VIOLATION');
      expect(last.code).toBe(1);
    },
    600_000,
  );
});

describe('the command line', () => {
  it('helps', async () => {
    const { code, output } = await chaos('--help');
    expect(code).toBe(0);
    for (const name of Object.keys(mutants)) expect(output).toContain(name);
  });

  it.each([
    [['--faults', 'kill,nonsense'], 'there is no "nonsense"'],
    [['--mutant', 'nonsense'], 'there is no "nonsense"'],
    [['--mutants', '--seconds', '5'], 'its own faults and seconds'],
    [['--seconds', 'x'], 'not a number'],
    [['--nonsense'], 'Unknown option'],
  ])('refuses %j', async (args, reason) => {
    const { code, output } = await chaos(...args);
    expect(code).toBe(2);
    expect(output).toContain(reason);
  });
});
