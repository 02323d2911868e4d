import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { makeMutantWorkspace } from '../src/mutant-workspace.ts';
import { mutants } from '../src/mutants.ts';
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
    const { code, output } = await chaos('--seconds', '120', '--seed', '7');
    // All of it is the message of a failure: it holds the evidence, and the command that runs it again.
    expect(code === 0 ? 'well' : output).toBe('well');
    expect(output).toContain('\n0 violations\n');
    expect(output).toMatch(/\n([7-9]|1\d) faults; \d{3,} purchases/);
    expect(output).toContain('stopped; no process is left');
  }, 420_000);
});

describe('a store that is broken inside', () => {
  it.each(Object.keys(mutants))('can still be made of the built services: %s', (name) => {
    const folder = mkdtempSync(join(tmpdir(), 'jogakbo-mutant-'));
    try {
      makeMutantWorkspace(folder, mutants[name]!.changes);
      expect(existsSync(join(folder, 'apps', 'orders', 'dist', 'main.js'))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is found', async () => {
    const { code, output } = await chaos('--mutant', 'no-idempotency-record', '--seed', '7');
    expect(output).toContain('VIOLATION  one key, one order');
    expect(code).toBe(1);
  }, 240_000);
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
    [['--seconds', 'x'], 'not a number'],
    [['--nonsense'], 'Unknown option'],
  ])('refuses %j', async (args, reason) => {
    const { code, output } = await chaos(...args);
    expect(code).toBe(2);
    expect(output).toContain(reason);
  });
});
