import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { rebuildProjection } from '../commands/projection.ts';
import { identifyProcess } from './processes.ts';
import { writeRun } from './run-record.ts';
import { openState, type StateFolder } from './state.ts';
import { getBrokerUrl, getDatabaseUrl } from './store-access.ts';

let state: StateFolder;
beforeEach(() => {
  process.env.JOGAKBO_HOME = mkdtempSync(join(tmpdir(), 'jogakbo-access-'));
  state = openState();
  const server = { kind: 'process', title: 'a server', roots: [], since: 1 };
  writeRun(state, {
    supervisor: identifyProcess(process.pid)!,
    phase: 'ready',
    publicUrl: 'http://localhost:1',
    port: 1,
    since: 1,
    services: [],
    broker: { ...server, url: 'amqp://127.0.0.1:1' },
    database: { ...server, url: 'postgresql://127.0.0.1:1/postgres' },
  });
});
afterEach(() => {
  rmSync(state.folder, { recursive: true });
  delete process.env.JOGAKBO_HOME;
});

it('reading a password creates none', async () => {
  expect(() => getDatabaseUrl(state, 'typo')).toThrow('typo has no database in this store.');
  expect(getBrokerUrl(state)).toBe('amqp://jogakbo@127.0.0.1:1');
  await expect(rebuildProjection('idenity', 'x')).rejects.toMatchObject({
    remedies: ['did you mean identity?'],
  });
  expect(existsSync(join(state.folder, 'secrets.json'))).toBe(false);
});
