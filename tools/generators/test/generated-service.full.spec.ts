import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeDerivedFiles } from '../src/derived-files.ts';
import { PlatformCopy, type Outcome } from './platform-copy.ts';
import { getSlowdown } from '@jogakbo/testing/slowdown';

const port = String(randomInt(28_000, 32_000));

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: (text ? JSON.parse(text) : {}) as Answer['body'] };
}

async function waitForStatus(path: string, status: number): Promise<void> {
  for (const until = Date.now() + 30_000; (await call('GET', path)).status !== status; await pause(100))
    if (Date.now() > until) throw new Error(`GET ${path} does not return ${status}`);
}

/** On failure, Jest prints the output. */
const expectSuccess = ({ code, output }: Outcome) => expect(code === 0 ? 'well' : output).toBe('well');

describe('a generated service', () => {
  let workspace: PlatformCopy;
  let served: ChildProcess | undefined;
  let servedOutput = '';

  const jogakbo = (...args: string[]) =>
    workspace.run(process.execPath, ['tools/cli/src/main.ts', ...args], { PORT: port });

  beforeAll(async () => {
    workspace = new PlatformCopy();
    expect(await writeDerivedFiles(workspace.root)).toEqual([]);
    await workspace.commit();
    expectSuccess(await jogakbo('start', '--detach', '--no-seed'));
  }, 240_000);
  afterAll(async () => {
    served?.kill('SIGTERM');
    await jogakbo('stop');
    workspace.remove();
  }, 60_000);

  function serve(service: string): void {
    const nx = join(workspace.root, 'node_modules/.bin/nx');
    const { PATH = '', HOME = '/tmp', NX_CACHE_DIRECTORY } = process.env;
    const env = {
      PATH,
      HOME,
      PORT: port,
      NX_DAEMON: 'false',
      NX_TUI: 'false',
      ...(NX_CACHE_DIRECTORY && { NX_CACHE_DIRECTORY }),
    };
    served = spawn(nx, ['serve', service], { cwd: workspace.root, stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [served.stdout!, served.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (servedOutput += text));
  }

  it('runs in the running store within 20 s of the command, on an idle machine', async () => {
    const began = performance.now();
    expectSuccess(await workspace.nx('g', 'service', 'letters'));
    serve('letters');
    await waitForStatus('/v1/letters', 200).catch((error: unknown) => {
      throw new Error(servedOutput, { cause: error });
    });
    const seconds = (performance.now() - began) / 1000;
    const slowdown = getSlowdown();
    console.log(`generated and running after ${seconds.toFixed(1)} s, slowdown ${slowdown.toFixed(1)}`);
    expect(seconds).toBeLessThan(20 * slowdown);
  }, 60_000);

  it('is called through the gateway', async () => {
    const login = { email: 'writer@example.com', password: 'letters to the editor' };
    expect(await call('POST', '/v1/members', { ...login, name: 'Writer' })).toMatchObject({ status: 201 });
    const { body } = await call('POST', '/v1/sessions', login);
    const authorization = { authorization: `Bearer ${String(body.accessToken)}` };
    expect(await call('POST', '/v1/letters', { text: 'Hello' })).toMatchObject({ status: 401 });
    expect(await call('POST', '/v1/letters', { text: '' }, authorization)).toMatchObject({ status: 422 });
    const added = await call('POST', '/v1/letters', { text: 'Hello' }, authorization);
    expect(added).toMatchObject({ status: 201, body: { text: 'Hello' } });
    expect((await call('GET', '/v1/letters')).body).toMatchObject({ items: [added.body] });
  });

  it('is in the API document, the map, the compose file and the processes', async () => {
    const { paths } = (await call('GET', '/openapi.json')).body as { paths: Record<string, object> };
    expect(Object.keys(paths['/v1/letters']!)).toEqual(expect.arrayContaining(['get', 'post']));
    expect(workspace.read('docs/map/README.md')).toContain('POST /v1/letters');
    expect(workspace.read('docker-compose.yml')).toContain('args: { SERVICE: letters,');
    expect((await jogakbo('ps', '--json')).output).toContain('"letters"');
  });

  it('is not removed while it is served', async () => {
    const { code, output } = await jogakbo('remove', 'service', 'letters', '--yes');
    expect([code, output]).toEqual([1, expect.stringContaining('jogakbo serve runs letters')]);
  });

  it('is removed with its data, and leaves no trace', async () => {
    const ended = new Promise((resolve) => served!.once('exit', resolve));
    served!.kill('SIGINT');
    await ended;
    served = undefined;
    const { code, output } = await jogakbo('remove', 'service', 'letters', '--data', '--yes');
    expect([code, output]).toEqual([0, expect.stringContaining('deleted the database letters')]);
    expect(output).toMatch(/deleted [1-9]\d* queues and the login letters/);
    expect(await workspace.listChanges()).toEqual([]);
    await waitForStatus('/v1/letters', 404);
    // Nothing is left to delete.
    expect(await jogakbo('remove', 'service', 'letters', '--data', '--yes')).toMatchObject({ code: 2 });
  }, 60_000);
});
