import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findPortHolder } from '@jogakbo/cli/src/supervisor/ports.ts';
import { listTree } from '@jogakbo/cli/src/supervisor/processes.ts';
import { readKeptPorts, openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import { until } from '../src/jogakbo.ts';
import { createCredential } from '../src/outsider.ts';
import { Store } from '../src/store.ts';

const store = new Store();
const externalServer = createServer((request, response) =>
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ hello: request.url })),
);
const renewalSeconds = 5;
let credential: URL;
let renewing: NodeJS.Timeout | undefined;

beforeAll(async () => {
  await store.start(['--only', 'gateway,identity,registry', '--no-seed']);
  await once(externalServer.listen(0, '127.0.0.1'), 'listening');
  credential = await createCredential(store, 'hello', ['GET /v1/hello', 'GET /v1/hello/{name}']);
}, 180_000);
afterAll(async () => {
  clearInterval(renewing);
  externalServer.closeAllConnections();
  externalServer.close();
  await store.remove();
});

/** Calls the registry like a Eureka client. */
async function callEureka(method: string, path: string, body?: unknown): Promise<number> {
  const { username, password, origin } = credential;
  const response = await fetch(`${origin}/eureka/apps/${path}`, {
    method,
    headers: {
      authorization: writeBasicCredentials(username, password),
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return response.status;
}

const register = (port = (externalServer.address() as AddressInfo).port) =>
  callEureka('POST', 'HELLO', {
    instance: {
      ...{ instanceId: 'hello-1', hostName: 'localhost', app: 'HELLO', ipAddr: '127.0.0.1', status: 'UP' },
      port: { $: port, '@enabled': 'true' },
      leaseInfo: { renewalIntervalInSecs: renewalSeconds, durationInSecs: 3 * renewalSeconds },
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}', access: 'public' },
    },
  });

/** Registers again after a 404, like a Eureka client. */
async function renew(): Promise<void> {
  const status = await callEureka('PUT', 'HELLO/hello-1').catch(() => 0);
  if (status === 404) await register();
}

const callHello = () => store.call('GET', '/v1/hello/kim').catch(() => undefined);

interface Instance {
  service: string;
  instance: string;
}
async function listInstances(): Promise<Instance[]> {
  const { body } = await store.call('GET', '/v1/ops/instances', { token: store.getToken('operator') });
  return body.items;
}

/** Every port on which a process of the store listens, and the ports reserved for its broker and database. */
async function listOwnPorts(): Promise<number[]> {
  const processes = new Set((await store.listRows()).flatMap(({ pid }) => (pid ? listTree(pid) : [])));
  const listening = ['tcp', 'tcp6'].flatMap((table) =>
    [...readFileSync(`/proc/net/${table}`, 'utf8').matchAll(/^ *\d+: \w+:(\w{4}) \w+:\w{4} 0A /gm)].map(
      ([, port]) => Number.parseInt(port!, 16),
    ),
  );
  const own = listening.filter((port) => processes.has(findPortHolder(port)?.pid ?? 0));
  return [...new Set([...own, ...Object.values(readKeptPorts(openState(store.home)))])];
}

describe('the registry of a running store', () => {
  it('routes to an external service as soon as it registers', async () => {
    // 503 while the gateway discovers services, 404 afterwards.
    expect((await callHello())!.status).not.toBe(200);
    expect(await register()).toBe(204);
    renewing = setInterval(() => void renew(), renewalSeconds * 1_000);
    await until(async () => (await callHello())?.status === 200, 2_000);
    expect((await callHello())!.body).toEqual({ hello: '/v1/hello/kim' });
    expect(await store.call('GET', '/v1/ops/instances')).toMatchObject({ status: 401 });
    expect((await listInstances()).map(({ service }) => service)).toEqual([
      'gateway',
      'hello',
      'identity',
      'registry',
    ]);
  });

  it('removes a killed instance within six seconds', async () => {
    const before = (await listInstances()).find(({ service }) => service === 'identity')!;
    process.kill((await store.findRow('identity'))!.pid!, 'SIGKILL');
    const killedAt = performance.now();
    await until(
      async () => (await listInstances()).every(({ instance }) => instance !== before.instance),
      10_000,
    );
    expect(performance.now() - killedAt).toBeLessThan(6_300);
  });

  it('is not needed while it restarts, and keeps its URL', async () => {
    const { pid, url, memory } = (await store.findRow('registry'))!;
    expect(memory).toBeLessThan(95 * 2 ** 20);
    process.kill(pid!, 'SIGKILL');
    const wrong: unknown[] = [];
    for (const end = performance.now() + 20_000; performance.now() < end; await pause(50)) {
      const answer = await callHello();
      if (answer?.status !== 200) wrong.push(answer?.status);
    }
    expect(wrong).toEqual([]);
    expect((await store.findRow('registry'))!.url).toBe(url);
    expect((await listInstances()).map(({ service }) => service)).toContain('hello');
  }, 60_000);

  it('has no route to a deregistered app', async () => {
    clearInterval(renewing);
    expect(await callEureka('DELETE', 'HELLO/hello-1')).toBe(200);
    await until(async () => (await callHello())?.status === 404, 1_000);
    expect((await store.call('GET', '/openapi.json')).body.paths).not.toHaveProperty('/v1/hello');
  });

  it('rejects an instance on a port of the store itself', async () => {
    const ports = await listOwnPorts();
    // Broker (AMQP, management, distribution, epmd), database, gateway, identity, registry.
    expect(ports.length).toBeGreaterThanOrEqual(8);
    const accepted: number[] = [];
    for (const port of ports) if ((await register(port)) !== 403) accepted.push(port);
    expect(accepted).toEqual([]);
    expect(await register()).toBe(204);
  });

  it('removes the registration of an app with its instances, and revokes its secret', async () => {
    await until(async () => (await callHello())?.status === 200, 2_000);
    expect((await store.run(['registration', 'list'])).output).toContain('GET /v1/hello/{name}');
    expect((await store.run(['registration', 'remove', 'hello'])).code).toBe(0);
    await until(async () => (await callHello())?.status === 404, 1_000);
    expect(await register()).toBe(401);
    expect((await store.run(['registration', 'remove', 'hello'])).output).toContain('has no registration');
  });
});
