import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';
import { listProjections, rebuildProjection } from '../commands/projection.ts';
import { identifyProcess } from './processes.ts';
import { writeRun } from './run-record.ts';
import { ensureSecrets, openState, type StateFolder } from './state.ts';
import { getBrokerUrl, getDatabaseUrl, getStoreBrokerUrl } from './store-access.ts';

let state: StateFolder;
beforeEach(() => {
  process.env.JOGAKBO_HOME = mkdtempSync(join(tmpdir(), 'jogakbo-access-'));
  state = openState();
  const server = { kind: 'process', title: 'a server', roots: [], since: 1 };
  writeRun(state, {
    supervisor: identifyProcess(process.pid)!,
    phase: 'ready',
    workspace: '/workspace',
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
  jest.restoreAllMocks();
  delete process.env.JOGAKBO_HOME;
  delete process.env.RABBITMQ_URL;
});

it('RABBITMQ_URL comes before the broker of the running store', () => {
  process.env.RABBITMQ_URL = 'amqp://elsewhere';
  expect(getBrokerUrl(state)).toBe('amqp://elsewhere');
  expect(getStoreBrokerUrl(state)).toBe('amqp://jogakbo@127.0.0.1:1');
});

it('a service without a database has no database URL', () => {
  ensureSecrets(state, ['gateway']);
  expect(() => getDatabaseUrl(state, 'gateway')).toThrow('gateway has no database in this store.');
});

it('projections are those of the services that the store runs', async () => {
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
  ensureSecrets(state, ['identity']);
  expect(await listProjections(undefined)).toBe(0);
  await expect(listProjections('identity')).rejects.toThrow(
    'The running store has no service called identity.',
  );
});

it('reading a password creates none', async () => {
  expect(() => getDatabaseUrl(state, 'typo')).toThrow('typo has no database in this store.');
  expect(getBrokerUrl(state)).toBe('amqp://jogakbo@127.0.0.1:1');
  await expect(rebuildProjection('idenity', 'x')).rejects.toMatchObject({
    remedies: ['did you mean identity?'],
  });
  expect(existsSync(join(state.folder, 'secrets.json'))).toBe(false);
});
