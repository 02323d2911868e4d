import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { LogFile } from '../supervisor/log-file.ts';
import { type ServedRecord } from '../supervisor/run-record.ts';
import { ServedInstance } from './served-instance.ts';

it('is killed by a second Ctrl-C while it is being stopped', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-served-'));
  const script =
    "process.on('SIGTERM', () => {}); process.send({ type: 'ready', url: 'http://x' }); setInterval(() => {}, 1000)";
  const launch = { command: process.execPath, args: ['-e', script], cwd: folder, env: { PORT: '0' } };
  const shown: (ServedRecord | undefined)[] = [];
  const environment = {
    getLaunchCommand: async () => launch,
    renewLogin: async () => undefined,
    suspendOwn: async () => undefined,
    resumeOwn: async () => undefined,
    recordServed: (record: ServedRecord | undefined) => void shown.push(record),
    lost: new Promise<void>(() => undefined),
    release: async () => undefined,
  };
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
