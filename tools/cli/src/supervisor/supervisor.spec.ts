import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { ControlClient } from './control-client.ts';
import { readMark } from './processes.ts';
import { claimRun, readRun, type RunRecord } from './run-record.ts';
import { openState, type State } from './state.ts';
import { Supervisor } from './supervisor.ts';

let state: State;
beforeEach(() => {
  state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-supervisor-')));
});
afterEach(() => rmSync(state.folder, { recursive: true }));

it('ends the connections of other commands when it stops', async () => {
  const run: RunRecord = {
    supervisor: readMark(process.pid)!,
    state: 'starting',
    publicUrl: 'http://localhost:1',
    port: 1,
    since: Date.now(),
    services: [],
  };
  claimRun(state, run);
  const supervisor = new Supervisor(state, run, () => undefined);
  supervisor.setReady(() => Promise.reject(new Error('There is none.')));
  const client = await ControlClient.open(state);
  await expect(client.getLaunch('tea')).rejects.toThrow('There is none.');
  await supervisor.stop();
  await client.closed;
  expect(readRun(state)).toBeUndefined();
});
