import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { linkPackages } from '@jogakbo/generators/platform-copy';
import { createWorkspace } from '../src/create-workspace.ts';

const folder = mkdtempSync(join(tmpdir(), 'jogakbo-product-'));
const product = join(folder, 'garden');
const port = randomInt(28_000, 32_000);

/** Runs a program in the product. */
function run(command: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const { RABBITMQ_URL: _broker, DATABASE_URL: _database, TEST_FULL: _full, ...env } = process.env;
  const child = spawn(command, args, {
    cwd: product,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...env,
      PATH: [dirname(process.execPath), env.PATH].join(delimiter),
      PORT: String(port),
      JOGAKBO_BROKER: 'local',
      NO_COLOR: '1',
      NX_DAEMON: 'false',
      NX_CACHE_DIRECTORY: join(folder, 'nx-cache'),
    },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

const jogakbo = (...args: string[]) => run(process.execPath, 'tools/cli/src/main.ts', ...args);

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: (text ? JSON.parse(text) : undefined) as Record<string, unknown> };
}

/** Signs up, writes a note through the gateway, and reads it. */
async function useSample(): Promise<void> {
  const login = { email: 'gardener@example.com', password: 'roses and thyme' };
  expect(await call('POST', '/v1/members', { ...login, name: 'Gardener' })).toMatchObject({ status: 201 });
  const session = await call('POST', '/v1/sessions', login);
  const headers = { authorization: `Bearer ${String(session.body.accessToken)}`, 'idempotency-key': 'n1' };
  expect(await call('POST', '/v1/notes', { text: 'Water the roses' })).toMatchObject({ status: 401 });
  const written = await call('POST', '/v1/notes', { text: 'Water the roses' }, headers);
  expect(written).toMatchObject({ status: 201, body: { text: 'Water the roses' } });
  const again = await call('POST', '/v1/notes', { text: 'Water the roses' }, headers);
  expect(again.body.noteId).toBe(written.body.noteId);
  const { body } = await call('GET', '/v1/notes');
  expect(body.items).toEqual([written.body]);
}

/** On failure, Jest prints the output. */
const expectSuccess = ({ code, output }: { code: number | null; output: string }) =>
  expect(code === 0 ? 'well' : output).toBe('well');

const isFull = process.env['TEST_FULL'] === '1';

describe('a created workspace', () => {
  beforeAll(async () => {
    // If the tests run as root, PostgreSQL runs as another user.
    chmodSync(folder, 0o755);
    await createWorkspace({ folder: product, name: 'garden', git: false, report: () => undefined });
    if (isFull) spawnSync('npm', ['install'], { cwd: product, encoding: 'utf8' });
    else linkPackages(product);
  }, 300_000);
  afterAll(async () => {
    await jogakbo('stop');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }, 60_000);

  it('tests the sample service, with a broker and a database', async () => {
    const nx = join(product, 'node_modules', '.bin', 'nx');
    expectSuccess(await run(nx, 'run-many', '-t', 'test', 'integration', '-p', 'notes'));
    const countPassed = (target: string) => {
      const file = join(product, '.jogakbo', 'test-results', `notes-${target}.json`);
      return (JSON.parse(readFileSync(file, 'utf8')) as { numPassedTests: number }).numPassedTests;
    };
    expect([countPassed('test'), countPassed('integration')]).toEqual([1, 8]);
  }, 180_000);

  it('starts, serves the sample through the gateway, and stops', async () => {
    expectSuccess(await jogakbo('start', '--detach'));
    await useSample();
    const { output } = await jogakbo('ps', '--json');
    const { rows } = JSON.parse(output) as { rows: { service: string; state: string }[] };
    const services = rows.map(({ service }) => service);
    for (const name of ['gateway', 'registry', 'config', 'identity', 'notes'])
      expect(services).toContain(name);
    expectSuccess(await jogakbo('stop'));
  }, 180_000);

  if (isFull) it('passes its whole npm test', async () => expectSuccess(await run('npm', 'test')), 1_800_000);
});
