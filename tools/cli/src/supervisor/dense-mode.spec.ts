import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { DenseService, prepareDenseHost } from './dense-mode.ts';
import { LogFile } from './log-file.ts';
import { type LaunchContext } from './service-launch.ts';
import { ServiceProcess } from './service-process.ts';

// What a build hands over: its URL is the number of its starts, and STOP_FAILS lets each stop fail.
const main = `let starts = 0;
globalThis[Symbol.for('jogakbo.service-host')]('tea', async ({ STOP_FAILS }) => ({
  url: String((starts += 1)),
  stop: async () => { if (STOP_FAILS) throw new Error('a handler still runs'); },
}));`;

let folder: string;
let host: ServiceProcess;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-dense-'));
  writeFileSync(join(folder, 'tea.mjs'), main);
});
afterEach(async () => {
  await host.stop();
  // The last output is written to the log after the end of the process.
  await pause(500);
  rmSync(folder, { recursive: true });
});

/** Starts a process of dense mode with these services, and offers `tea` in it. */
async function startHost(first: 'tea' | 'none', env: NodeJS.ProcessEnv = {}): Promise<DenseService> {
  const launch = { command: 'node', args: [join(folder, 'tea.mjs')], cwd: folder, env };
  const stateFolder = { folder, logs: folder, id: 'x' };
  const process = prepareDenseHost({ state: stateFolder } as LaunchContext);
  const watcher = { onMessage: () => undefined, onChange: () => undefined };
  const listDenseServices = () => (first === 'tea' ? [tea.request] : []);
  host = new ServiceProcess(
    'dense',
    { ...process, listDenseServices },
    new LogFile(folder, 'dense'),
    watcher,
  );
  const tea = new DenseService('tea', launch, host, () => undefined);
  await host.start();
  return tea;
}

it('resumes a service that was suspended when the process started', async () => {
  const tea = await startHost('none');
  await tea.suspend();
  await tea.resume();
  expect(tea.toRecords()[0]).toMatchObject({ state: 'ready', url: '1' });
});

it('starts a service again after a failed stop', async () => {
  const tea = await startHost('tea', { STOP_FAILS: '1' });
  await expect(tea.suspend()).rejects.toThrow('a handler still runs');
  expect(tea.toRecords()[0]!.state).toBe('suspended');
  await tea.resume();
  expect(tea.toRecords()[0]).toMatchObject({ state: 'ready', url: '2' });
  await expect(tea.restart()).rejects.toThrow('a handler still runs');
  expect(tea.toRecords()[0]).toMatchObject({ state: 'ready', url: '3' });
});
