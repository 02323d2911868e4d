import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { buildRows, formatProcesses, type Row } from './ps.ts';

const row = (service: string, rest: Partial<Row> = {}): Row => ({
  service,
  state: 'ready',
  pid: 4_194_304,
  url: 'http://127.0.0.1:41235',
  uptime: 4_500_000,
  restarts: 0,
  memory: 104 * 1024 ** 2,
  ...rest,
});

describe('formatProcesses', () => {
  const rows = [
    row('gateway', { url: 'http://localhost:3000', uptime: 93_600_000 }),
    row('notifications', { state: 'not ready', restarts: 12 }),
    row('loans', { version: '1.4.0-a-long-name-of-a-branch', state: 'served' }),
    row('broker', { state: 'ready (TLS)', memory: 1_204 * 1024 ** 2 }),
    row('database', { url: 'postgresql://jogakbo:***@127.0.0.1:27999/postgres' }),
  ];

  it('fits 80 columns', () => {
    const table = formatProcesses(rows);
    expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(table.join('\n')).toContain('loans 1.4.0');
    expect(table.join('\n')).toContain('127.0.0.1:27999');
    expect(table.join('\n')).not.toContain('***');
  });

  it('shows the restarts column only if there were restarts', () => {
    expect(formatProcesses(rows)[0]).toContain('restarts');
    expect(formatProcesses(rows.slice(0, 1))[0]).not.toContain('restarts');
  });
});

it('a broker whose container has ended is not ready', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-ps-'));
  const path = process.env.PATH;
  process.env.PATH = [folder, path].join(delimiter);
  const inspect = (running: boolean) => {
    writeFileSync(join(folder, 'docker'), `#!/bin/sh\necho ${running}\n`, { mode: 0o755 });
    const broker = { kind: 'container', container: 'x', title: '', url: 'amqp://b', roots: [], since: 0 };
    const supervisor = { pid: 1, began: 'earlier' };
    return buildRows({
      supervisor,
      phase: 'ready',
      workspace: '/workspace',
      publicUrl: '',
      port: 1,
      since: 0,
      services: [],
      broker,
    });
  };
  expect((await inspect(true))[0]).toMatchObject({ service: 'broker', state: 'ready' });
  expect((await inspect(false))[0]).toMatchObject({ service: 'broker', state: 'ended', uptime: undefined });
  process.env.PATH = path;
  rmSync(folder, { recursive: true });
});
