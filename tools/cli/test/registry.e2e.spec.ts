import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findPortHolder } from '../src/supervisor/ports.ts';
import { listTree } from '../src/supervisor/processes.ts';
import { keptPorts, openState } from '../src/supervisor/state.ts';
import { until } from './jogakbo.ts';
import { createCredential } from './outsider.ts';
import { Store } from './store.ts';

const store = new Store();
const outside = createServer((request, response) =>
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ hello: request.url })),
);
const renewal = 5;
let credential: URL;
let renewing: NodeJS.Timeout | undefined;

beforeAll(async () => {
  await store.start(['--only', 'gateway,identity,registry', '--no-seed']);
  await once(outside.listen(0, '127.0.0.1'), 'listening');
  credential = await createCredential(store, 'hello', ['GET /v1/hello', 'GET /v1/hello/{name}']);
}, 180_000);
afterAll(async () => {
  clearInterval(renewing);
  outside.closeAllConnections();
  outside.close();
  await store.remove();
});

/** As a client of Eureka, whatever its language, speaks to the registry. */
async function eureka(method: string, path: string, body?: unknown): Promise<number> {
  const { username, password, origin } = credential;
  const response = await fetch(`${origin}/eureka/apps/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return response.status;
}

const register = (port = (outside.address() as AddressInfo).port) =>
  eureka('POST', 'HELLO', {
    instance: {
      ...{ instanceId: 'hello-1', hostName: 'localhost', app: 'HELLO', ipAddr: '127.0.0.1', status: 'UP' },
      port: { $: port, '@enabled': 'true' },
      leaseInfo: { renewalIntervalInSecs: renewal, durationInSecs: 3 * renewal },
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}', access: 'public' },
    },
  });

/** As those clients do: who is not known any more registers again. */
async function renew(): Promise<void> {
  const status = await eureka('PUT', 'HELLO/hello-1').catch(() => 0);
  if (status === 404) await register();
}

const hello = () => store.call('GET', '/v1/hello/kim').catch(() => undefined);

interface Seen {
  service: string;
  instance: string;
}
async function instances(): Promise<Seen[]> {
  const { body } = await store.call('GET', '/v1/ops/instances', { token: store.staff('operator') });
  return body.items;
}

/** Every port on which a process of the store listens, and those that it keeps for its broker and database. */
async function ownPorts(): Promise<number[]> {
  const processes = new Set((await store.rows()).flatMap(({ pid }) => (pid ? listTree(pid) : [])));
  const listening = ['tcp', 'tcp6'].flatMap((table) =>
    [...readFileSync(`/proc/net/${table}`, 'utf8').matchAll(/^ *\d+: \w+:(\w{4}) \w+:\w{4} 0A /gm)].map(
      ([, port]) => Number.parseInt(port!, 16),
    ),
  );
  const own = listening.filter((port) => processes.has(findPortHolder(port)?.pid ?? 0));
  return [...new Set([...own, ...Object.values(keptPorts(openState(store.home)))])];
}

describe('the registry of a running store', () => {
  it('routes to a service outside as soon as it registers', async () => {
    // 503 while the gateway learns, 404 afterwards.
    expect((await hello())!.status).not.toBe(200);
    expect(await register()).toBe(204);
    renewing = setInterval(() => void renew(), renewal * 1_000);
    await until(async () => (await hello())?.status === 200, 2_000);
    expect((await hello())!.body).toEqual({ hello: '/v1/hello/kim' });
    expect(await store.call('GET', '/v1/ops/instances')).toMatchObject({ status: 401 });
    expect((await instances()).map(({ service }) => service)).toEqual([
      'gateway',
      'hello',
      'identity',
      'registry',
    ]);
  });

  it('drops an instance that is killed within six seconds', async () => {
    const before = (await instances()).find(({ service }) => service === 'identity')!;
    process.kill((await store.row('identity'))!.pid!, 'SIGKILL');
    const killedAt = performance.now();
    await until(
      async () => (await instances()).every(({ instance }) => instance !== before.instance),
      10_000,
    );
    expect(performance.now() - killedAt).toBeLessThan(6_300);
  });

  it('is not missed while it starts again, and comes back where it was', async () => {
    const { pid, url, memory } = (await store.row('registry'))!;
    expect(memory).toBeLessThan(95 * 2 ** 20);
    process.kill(pid!, 'SIGKILL');
    const wrong: unknown[] = [];
    for (const until = performance.now() + 20_000; performance.now() < until; await pause(50)) {
      const answer = await hello();
      if (answer?.status !== 200) wrong.push(answer?.status);
    }
    expect(wrong).toEqual([]);
    expect((await store.row('registry'))!.url).toBe(url);
    expect((await instances()).map(({ service }) => service)).toContain('hello');
  }, 60_000);

  it('has no route to an app that cancelled', async () => {
    clearInterval(renewing);
    expect(await eureka('DELETE', 'HELLO/hello-1')).toBe(200);
    await until(async () => (await hello())?.status === 404, 1_000);
    expect((await store.call('GET', '/openapi.json')).body.paths).not.toHaveProperty('/v1/hello');
  });

  it('takes no instance on a port of the store itself', async () => {
    const ports = await ownPorts();
    // Broker (AMQP, management, distribution, epmd), database, gateway, identity, registry.
    expect(ports.length).toBeGreaterThanOrEqual(8);
    const taken: number[] = [];
    for (const port of ports) if ((await register(port)) !== 403) taken.push(port);
    expect(taken).toEqual([]);
    expect(await register()).toBe(204);
  });

  it('ends the registration of an app: its instances leave, and its secret is worth nothing', async () => {
    await until(async () => (await hello())?.status === 200, 2_000);
    expect((await store.run(['registration', 'list'])).output).toContain('GET /v1/hello/{name}');
    expect((await store.run(['registration', 'remove', 'hello'])).code).toBe(0);
    await until(async () => (await hello())?.status === 404, 1_000);
    expect(await register()).toBe(401);
    expect((await store.run(['registration', 'remove', 'hello'])).output).toContain('has no registration');
  });
});
