import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createExternalService } from '../backing/backing-service.ts';
import { ControlClient } from './control-client.ts';
import { identifyProcess } from './processes.ts';
import { claimRun, readRun, type RunRecord } from './run-record.ts';
import { openState, type StateFolder } from './state.ts';
import { createNoPreparation } from './store-control.ts';
import { Stopped } from './stopped.ts';
import { Supervisor } from './supervisor.ts';

let state: StateFolder;
beforeEach(() => {
  state = openState(mkdtempSync(join(tmpdir(), 'jogakbo-supervisor-')));
});
afterEach(() => rmSync(state.folder, { recursive: true }));

function createSupervisor(): Supervisor {
  const run: RunRecord = {
    supervisor: identifyProcess(process.pid)!,
    phase: 'starting',
    workspace: '/workspace',
    publicUrl: 'http://localhost:1',
    port: 1,
    since: Date.now(),
    services: [],
  };
  claimRun(state, run);
  return new Supervisor(state, run, () => undefined);
}

it('ends the connections of other commands when it stops', async () => {
  const supervisor = createSupervisor();
  supervisor.setReady(createNoPreparation('There is none.'));
  const client = await ControlClient.open(state);
  await expect(client.getLaunchCommand('tea')).rejects.toThrow('There is none.');
  await supervisor.stop();
  await client.closed;
  expect(readRun(state)).toBeUndefined();
});

it('adds no service once it is stopping', async () => {
  const supervisor = createSupervisor();
  const stopping = supervisor.stop();
  const launch = { command: process.execPath, args: [], cwd: state.folder, env: {} };
  expect(() => supervisor.addService('tea', '1.0.0', launch)).toThrow(Stopped);
  expect(() => supervisor.addDense(launch, new Map([['tea', launch]]))).toThrow(Stopped);
  await stopping;
});

it('repeats what has to follow a restart of a backing service until it succeeds', async () => {
  const supervisor = createSupervisor();
  const calls: string[] = [];
  let isRunning = false;
  await supervisor.addBackingService(
    'broker',
    Promise.resolve({
      ...createExternalService('a broker', 'amqp://127.0.0.1:1'),
      kind: 'process',
      isAlive: () => isRunning,
      start: async () => {
        calls.push('start');
        isRunning = true;
      },
    }),
  );
  const isPrepared = new Promise<void>((resolve) =>
    supervisor.onRestarted('broker', async () => {
      calls.push('prepare');
      if (calls.length < 3) throw new Error('The broker has no leader.');
      resolve();
    }),
  );
  await isPrepared;
  await supervisor.stop();
  expect(calls).toEqual(['start', 'prepare', 'prepare']);
});
