import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { isAlive, identifyProcess, type ProcessIdentity, signal } from '../supervisor/processes.ts';
import { hasRun, type RunRecord, writeRun } from '../supervisor/run-record.ts';
import { openState } from '../supervisor/state.ts';
import { stop } from './stop.ts';

const started: ProcessIdentity[] = [];
beforeEach(() => {
  process.env.JOGAKBO_HOME = mkdtempSync(join(tmpdir(), 'jogakbo-stop-'));
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
});
afterEach(() => {
  jest.restoreAllMocks();
  for (const one of started.splice(0)) signal(one, 'SIGKILL');
  rmSync(process.env.JOGAKBO_HOME!, { recursive: true });
  delete process.env.JOGAKBO_HOME;
});

async function startProcess(script: string): Promise<ProcessIdentity> {
  const child = spawn(process.execPath, ['-e', `${script}; console.log(1); setInterval(() => {}, 1000)`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  const identity = identifyProcess(child.pid)!;
  started.push(identity);
  return identity;
}

it('kills a supervisor that does not stop, and ends services that it started in the meantime', async () => {
  const state = openState();
  const [supervisor, service] = await Promise.all([
    startProcess("process.on('SIGTERM', () => {})"),
    startProcess('0'),
  ]);
  const run: RunRecord = {
    supervisor,
    phase: 'starting',
    workspace: '/workspace',
    publicUrl: 'http://localhost:1',
    port: 1,
    since: 1,
    services: [],
  };
  writeRun(state, run);
  const stopping = stop(1_000);
  writeRun(state, {
    ...run,
    services: [{ name: 'loans', state: 'starting', process: service, since: 1, restarts: 0 }],
  });
  expect(await stopping).toBe(0);
  expect([isAlive(supervisor), isAlive(service), hasRun(state)]).toEqual([false, false, false]);
});
