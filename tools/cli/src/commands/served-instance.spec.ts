import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { LogFile } from '../supervisor/log-file.ts';
import { type ServedRecord } from '../supervisor/run-record.ts';
import { type LaunchCommand } from '../supervisor/service-launch.ts';
import { ServedInstance } from './served-instance.ts';

const createEnvironment = (
  launch: LaunchCommand,
  recordServed: (record: ServedRecord | undefined) => void = () => undefined,
) => ({
  getLaunchCommand: async () => launch,
  renewLogin: async () => undefined,
  suspendOwn: async () => undefined,
  resumeOwn: async () => undefined,
  recordServed,
  lost: new Promise<void>(() => undefined),
  release: async () => undefined,
});

it('is killed by a second Ctrl-C while it is being stopped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-served-'));
  const script =
    "process.on('SIGTERM', () => {}); process.send({ type: 'ready', url: 'http://x' }); setInterval(() => {}, 1000)";
  const launch = { command: process.execPath, args: ['-e', script], cwd: folder, env: { PORT: '0' } };
  const shown: (ServedRecord | undefined)[] = [];
  const environment = createEnvironment(launch, (record) => void shown.push(record));
  const instance = new ServedInstance({
    name: 'loans',
    environment,
    log: new LogFile(folder, 'loans'),
    report: () => undefined,
    migrate: async () => undefined,
  });
  instance.replace();
  await eventually(() => shown.length > 0);
  const began = Date.now();
  const stopping = instance.stop();
  setTimeout(() => instance.kill(), 300);
  await stopping;
  expect(Date.now() - began).toBeLessThan(4_000);
  rmSync(folder, { recursive: true });
});

it('reports a failed start also if the previous instance had to end first', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-served-'));
  const reports: string[] = [];
  const launch = { command: process.execPath, args: ['-e', ''], cwd: folder, env: { PORT: '8761' } };
  const instance = new ServedInstance({
    name: 'loans',
    environment: createEnvironment(launch),
    log: new LogFile(folder, 'loans'),
    report: (text) => void reports.push(text),
    migrate: async () => undefined,
  });
  instance.replace();
  await eventually(() => reports.length > 0);
  expect(reports).toEqual(['loans did not become ready; no instance is running']);
  await instance.stop();
  rmSync(folder, { recursive: true });
});
