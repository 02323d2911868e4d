import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { endOrphans } from './orphans.ts';
import { isAlive, identifyProcess, type ProcessIdentity } from './processes.ts';
import { claimRun, forgetRun, hasRun, readRun, type RunRecord } from './run-record.ts';
import { openState, type StateFolder } from './state.ts';

let state: StateFolder;
beforeEach(() => {
  state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-orphans-')));
});
afterEach(() => rmSync(state.folder, { recursive: true }));

const killed: ProcessIdentity = { pid: process.pid, began: 'an earlier boot' };
const createRun = (supervisor: ProcessIdentity, service?: ProcessIdentity): RunRecord => ({
  supervisor,
  phase: 'ready',
  workspace: '/workspace',
  publicUrl: 'http://localhost:1',
  port: 1,
  since: 1,
  services: service ? [{ name: 'tea', state: 'ready', process: service, since: 1, restarts: 0 }] : [],
});

/** A process that ends half a second after SIGTERM. */
async function startSlowProcess(): Promise<ProcessIdentity> {
  const script =
    "process.on('SIGTERM', () => setTimeout(() => process.exit(), 500)); console.log(1); setInterval(() => {}, 1000)";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  return identifyProcess(child.pid)!;
}

describe('the services of a killed supervisor', () => {
  it('are ended, and its record is removed', async () => {
    const service = await startSlowProcess();
    const run = createRun(killed, service);
    claimRun(state, run);
    expect(await endOrphans(state, run)).toEqual(['tea']);
    expect([isAlive(service), hasRun(state)]).toEqual([false, false]);
  });

  it('leave the record of another start, which has claimed the folder in the meantime', async () => {
    const run = createRun(killed, await startSlowProcess());
    claimRun(state, run);
    const slower = endOrphans(state, run);
    const next = createRun(identifyProcess(process.pid)!);
    forgetRun(state, killed);
    expect(claimRun(state, next)).toBe(true);
    await slower;
    expect(readRun(state)).toEqual(next);
    expect(claimRun(state, next)).toBe(false);
  });

  it('do not keep a record that cannot be read', async () => {
    writeFileSync(join(state.folder, 'run.json'), '{');
    await endOrphans(state, undefined);
    expect(hasRun(state)).toBe(false);
  });
});
