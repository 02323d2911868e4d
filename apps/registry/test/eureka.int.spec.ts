import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { start, type RunningService } from '@jogakbo/service';
import { writeBasicCredentials } from '@jogakbo/service/basic-credentials';
import { service } from '@jogakbo/contract';
import { BrokerConnection, Instances, Listener, Publisher } from '@jogakbo/messaging';
import {
  ListRegistrations,
  RemoveRegistration,
  SetRegistration,
  type InstanceView,
} from '@jogakbo/contracts-registry';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { Eureka as EurekaClient } from 'eureka-js-client';
import { z } from 'zod';
import { configure, httpOptions } from '../src/http.ts';
import { RegistryModule } from '../src/registry.module.ts';
import { RegistrySettings } from '../src/settings.ts';
import { GreeterModule } from './greeter.ts';

const getSecret = (app: string) => `the secret of ${app}`;
const toBasic = (app: string, secret = getSecret(app)) => writeBasicCredentials(app, secret);
/** Differs only in the lowest bit, which is unused because of the base64 padding of these credentials. */
const nextLetter = (letter: string) => String.fromCharCode(letter.charCodeAt(0) + 1);
const operator = { caller: { memberId: 'the operator', roles: ['operator'] } };
/** The routes of each registered app. */
const routesByApp = {
  hello: ['GET /v1/hello', 'GET /v1/hello/{name}', 'GET /v1/hi'],
  bye: ['GET /v1/bye'],
  delta: [],
  flood: ['GET /v1/flood/{name}'],
};
const renewal = 0.5;
const mostInstances = 5;
const RollCall = service('instances').event('roll-call', z.object({}));

interface Options {
  authorization?: string | undefined;
  accept?: string;
  body?: unknown;
  url?: string;
}

describe('the Eureka API', () => {
  let registry: ServiceUnderTest;
  let greeter: RunningService;
  const clients: EurekaClient[] = [];
  const replicas: RunningService[] = [];

  async function replicate(): Promise<RunningService> {
    const replica = await registry.startAnother();
    replicas.push(replica);
    return replica;
  }

  beforeAll(async () => {
    registry = await ServiceUnderTest.start(
      RegistryModule,
      {
        SHORTEST_RENEWAL: String(renewal),
        ANNOUNCE_EVERY: '5',
        DENIED_UPSTREAMS: '127.0.0.1:6543',
        INSTANCES_PER_APP: String(mostInstances),
        CHANGES_PER_APP: '10000',
      },
      { fastify: httpOptions, configure },
    );
    for (const [app, routes] of Object.entries(routesByApp)) await grant(app, { routes });
    greeter = await start(GreeterModule, {
      environment: { RABBITMQ_URL: registry.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '5' },
    });
    await eventually(async () => (await instances()).some(({ service }) => service === 'greeter'));
  });
  afterEach(async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.stop()));
    await Promise.all(
      clients.splice(0).map((client) => new Promise((done) => client.stop(() => done(undefined)))),
    );
    for (const one of await instances()) {
      const [, app, instanceId] = one.instance.split(':', 3);
      if (one.upstream === 'http') await eureka('DELETE', `/apps/${app}/${instanceId}`);
    }
  });
  afterAll(async () => {
    await greeter?.stop();
    await registry?.stop();
  });

  /** Creates a registration, as an operator. */
  const grant = (app: string, changes: { secret?: string; routes?: string[]; networks?: string[] } = {}) => {
    const { secret = getSecret(app), routes = [], networks = ['127.0.0.0/8'] } = changes;
    const secretHash = createHash('sha256').update(secret).digest('hex');
    return registry.ask(SetRegistration, { app, secretHash, routes, networks }, operator);
  };

  /** Sends a request, by default with the credential of the app in the path. */
  async function eureka(method: string, path: string, options: Options = {}) {
    const own = toBasic((path.split(/[/?]/)[2] ?? '').toLowerCase());
    const { authorization = own, accept = 'application/json', body, url = registry.url } = options;
    const isText = typeof body === 'string';
    const response = await fetch(`${url}/eureka${path}`, {
      method,
      headers: {
        ...(authorization && { authorization }),
        ...(accept && { accept }),
        ...(body !== undefined && { 'content-type': isText ? 'application/xml' : 'application/json' }),
      },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- untyped response
    const json: any = text.startsWith('{') ? JSON.parse(text) : undefined;
    return { status: response.status, text, json };
  }

  async function instances(url = registry.url): Promise<InstanceView[]> {
    return (await (await fetch(`${url}/instances`)).json()) as InstanceView[];
  }

  const hellos = async (url?: string) => (await instances(url)).filter(({ service }) => service === 'hello');

  const registration = (changes: Record<string, unknown> = {}) => ({
    instance: {
      instanceId: 'hello-1',
      hostName: 'localhost',
      app: 'HELLO',
      ipAddr: '127.0.0.1',
      vipAddress: 'hello',
      status: 'UP',
      port: { $: 8080, '@enabled': 'true' },
      dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
      leaseInfo: { renewalIntervalInSecs: renewal, durationInSecs: 90 },
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}', access: 'public', version: '7' },
      ...changes,
    },
  });
  const register = (changes?: Record<string, unknown>, options?: Options) =>
    eureka('POST', '/apps/HELLO', { body: registration(changes), ...options });

  /** A standard Eureka client, configured as documented. */
  function startClient(): EurekaClient {
    const address = new URL(registry.url);
    const quiet = { debug() {}, info() {}, warn() {}, error() {}, level() {} };
    const client = new EurekaClient({
      logger: quiet,
      instance: {
        ...registration().instance,
      },
      eureka: {
        host: `hello:${encodeURIComponent(getSecret('hello'))}@${address.hostname}`,
        port: Number(address.port),
        servicePath: '/eureka/apps/',
        heartbeatInterval: renewal * 1_000,
        registryFetchInterval: 100,
        maxRetries: 1,
      },
    } as unknown as ConstructorParameters<typeof EurekaClient>[0]);
    clients.push(client);
    return client;
  }

  describe('with a standard client', () => {
    it('registers, renews, fetches and cancels', async () => {
      const client = startClient();
      await new Promise<void>((resolve, reject) => {
        client.start((error?: Error) => (error ? reject(error) : resolve()));
      });
      expect(await hellos()).toMatchObject([
        {
          service: 'hello',
          version: '7',
          instance: 'eureka:HELLO:hello-1',
          state: 'up',
          upstream: 'http',
          url: 'http://127.0.0.1:8080',
        },
      ]);
      // Instances of the store's services are listed too.
      expect(client.getInstancesByAppId('GREETER')).toMatchObject([
        { app: 'GREETER', status: 'UP', port: { $: Number(new URL(greeter.url).port) } },
      ]);
      expect(client.getInstancesByVipAddress('hello')).toHaveLength(1);

      // Four intervals, with renewals only.
      await Promise.all([once(client as never, 'heartbeat'), sleep(4 * renewal)]);
      expect(await hellos()).toHaveLength(1);

      await new Promise((resolve) => client.stop(resolve));
      clients.length = 0;
      expect(await hellos()).toEqual([]);
    });

    it('registers it again after its instance was removed', async () => {
      const client = startClient();
      await new Promise<void>((resolve) => client.start(() => resolve()));
      await eureka('DELETE', '/apps/HELLO/hello-1');
      expect(await hellos()).toEqual([]);
      await eventually(async () => (await hellos()).length === 1);
    });
  });

  describe('rejects requests', () => {
    const changes = [
      ['PUT', '/apps/HELLO/hello-1'],
      ['PUT', '/apps/HELLO/hello-1?status=DOWN'],
      ['DELETE', '/apps/HELLO/hello-1'],
      ['PUT', '/apps/HELLO/hello-1/status?value=DOWN'],
      ['DELETE', '/apps/HELLO/hello-1/status'],
      ['PUT', '/apps/HELLO/hello-1/metadata?a=b'],
    ] as const;

    it.each([
      ['without a credential', '', 401],
      ['with another secret', toBasic('hello', 'wrong'), 401],
      ['with no secret', toBasic('hello', ''), 401],
      ['of an unknown app', toBasic('unknown', ''), 401],
      ['in base64 with different unused bits', toBasic('hello').replace(/.(?==*$)/, nextLetter), 401],
      ['in base64 with an invalid character', toBasic('hello').replace('Basic a', 'Basic *a'), 401],
      ['with the secret as the name', toBasic(getSecret('hello'), ''), 401],
      ['with another scheme', `Bearer ${getSecret('hello')}`, 401],
      ['with the credential of another app', toBasic('bye'), 403],
    ])('%s', async (_, authorization, status) => {
      await register({ leaseInfo: undefined });
      expect((await register({ instanceId: 'hello-2' }, { authorization })).status).toBe(status);
      for (const [method, path] of changes) {
        const answer = await eureka(method, path, { authorization });
        expect({ method, path, status: answer.status }).toEqual({ method, path, status });
      }
      expect(await hellos()).toMatchObject([{ instance: 'eureka:HELLO:hello-1', state: 'up' }]);
    });

    it('that register another app than the path names', async () => {
      const body = registration({ app: 'HELLO' });
      expect((await eureka('POST', '/apps/BYE', { body })).status).toBe(400);
      expect(await hellos()).toEqual([]);
    });
  });

  describe('rejects an address', () => {
    const at = (address: string, port = 8080) => ({
      hostName: address,
      ipAddr: undefined,
      port: { $: port, '@enabled': 'true' },
    });
    it.each([
      ['outside of the networks', at('10.0.0.1'), 'in none of the permitted networks'],
      ['of a metadata service', at('169.254.169.254'), 'never permitted (linkLocal)'],
      ['that is unspecified', at('0.0.0.0'), 'never permitted (unspecified)'],
      ['that is unspecified in another notation', at('0'), 'never permitted (unspecified)'],
      ['in IPv6 outside of the networks', at('::1'), 'in none of the permitted networks'],
      ['of the store', at('127.0.0.1', 6543), 'belongs to the store itself'],
      ['of the store in another notation', at('0x7f000002', 6543), 'belongs to the store itself'],
      ['of the store in IPv6', at('::ffff:7f00:1', 6543), 'belongs to the store itself'],
    ])('%s', async (_, changes, reason) => {
      const answer = await register(changes);
      expect({ status: answer.status, reason: answer.json?.message }).toEqual({
        status: 403,
        reason: expect.stringContaining(reason),
      });
      expect(await hellos()).toEqual([]);
    });

    it('of the registry, a service, the broker and the database', async () => {
      const database = (await registry.query<{ port: number }>('SELECT inet_server_port() AS port'))[0]!.port;
      const ports = [registry.url, greeter.url, registry.broker.url].map((url) => Number(new URL(url).port));
      for (const port of [...ports, database]) {
        const { status, json } = await register(at('localhost', port));
        expect({ status, message: json?.message }).toEqual({
          status: 403,
          message: expect.stringContaining('belongs to the store itself'),
        });
      }
    });

    it('in a loopback network that is not listed explicitly', async () => {
      await grant('open', { networks: ['0.0.0.0/0', '::/0'] });
      for (const address of ['127.0.0.1', '::1', 'localhost', '::ffff:7f00:1', '2130706433']) {
        const body = registration({ app: 'OPEN', metadata: {}, ...at(address) });
        const { status, json } = await eureka('POST', '/apps/OPEN', { body });
        expect({ address, status, message: json?.message }).toEqual({
          address,
          status: 403,
          message: expect.stringContaining('loopback explicitly'),
        });
      }
      await registry.ask(RemoveRegistration, { app: 'open' }, operator);
    });

    it('if its name cannot be resolved', async () => {
      expect(await register(at('nowhere.invalid'))).toMatchObject({ status: 400 });
    });
  });

  describe('a registration', () => {
    it('is listed without its secret', async () => {
      const { items } = await registry.ask(ListRegistrations, {}, operator);
      expect(items.map(({ app }) => app)).toEqual(['bye', 'delta', 'flood', 'hello']);
      expect(items[3]).toEqual({
        app: 'hello',
        routes: routesByApp.hello,
        networks: ['127.0.0.0/8'],
        changedBy: 'the operator',
        changedAt: expect.stringMatching(/Z$/),
      });
      expect(JSON.stringify(await registry.query('SELECT * FROM registration'))).not.toContain('the secret');
    });

    it.each([
      ['a route of the store', ['GET /v1/greetings/{who}'], 'route-taken', 'announced by greeter'],
      ['part of a route of the store', ['GET /v1/greetings/me'], 'route-taken', 'announced by greeter'],
      ['a route for operators', ['GET /v1/ops/instances'], 'route-taken', 'announced by registry'],
      ['pages of the store', ['GET /greetings/all'], 'route-taken', '* /greetings/*'],
      ['every path with two segments', ['POST /{a}/{b}'], 'route-taken', '* /greetings/*'],
      ['a route of another app', ['GET /v1/hello/kim'], 'route-taken', 'of hello'],
      ['a route of the gateway', ['GET /metrics'], 'invalid-registration', 'is reserved'],
      ['the path of the keys', ['GET /.well-known/jwks.json'], 'invalid-registration', 'is reserved'],
      ['an invalid route', ['hello'], 'invalid-registration', '"hello" is invalid'],
    ])('cannot contain %s', async (_, routes, code, reason) => {
      await expect(grant('other', { routes })).rejects.toMatchObject({
        code,
        message: expect.stringContaining(reason),
      });
    });

    it('is rejected for a service of the store, and with invalid networks', async () => {
      await expect(grant('greeter')).rejects.toMatchObject({ code: 'app-taken' });
      await expect(grant('other', { networks: ['all'] })).rejects.toMatchObject({
        code: 'invalid-registration',
      });
      await expect(registry.ask(RemoveRegistration, { app: 'other' }, operator)).rejects.toMatchObject({
        code: 'unknown-app',
      });
    });

    it('keeps its routes while its app has no instances', async () => {
      expect(await hellos()).toEqual([]);
      await expect(grant('other', { routes: ['GET /v1/hello'] })).rejects.toMatchObject({
        code: 'route-taken',
      });
      const body = registration({ app: 'BYE' });
      const { status, json } = await eureka('POST', '/apps/BYE', { body });
      expect({ status, message: json.message }).toEqual({
        status: 403,
        message: expect.stringContaining('"GET /v1/hello" is not granted to bye'),
      });
    });

    it('removes instances that it no longer permits after a change', async () => {
      await register();
      await grant('hello', { routes: ['GET /v1/hello'] });
      await eventually(async () => (await hellos()).length === 0);
      expect((await register()).status).toBe(403);
      await grant('hello', { routes: routesByApp.hello });
      await register();
      await grant('hello', { routes: routesByApp.hello, networks: ['10.0.0.0/8'] });
      await eventually(async () => (await hellos()).length === 0);
      await grant('hello', { routes: routesByApp.hello });
      await register();
      await grant('hello', { routes: routesByApp.hello, secret: 'another' });
      expect(await hellos()).toHaveLength(1);
      expect((await eureka('PUT', '/apps/HELLO/hello-1')).status).toBe(401);
      await grant('hello', { routes: routesByApp.hello });
    });

    it('is read by the replicas at once, and used while the database is unavailable', async () => {
      const replica = await replicate();
      await register({}, { url: replica.url });
      await registry.ask(RemoveRegistration, { app: 'hello' }, operator);
      expect((await register({}, { url: replica.url })).status).toBe(401);
      await grant('hello', { routes: routesByApp.hello });
      expect((await register({}, { url: replica.url })).status).toBe(204);
      await registry.query('ALTER TABLE registration RENAME TO elsewhere');
      try {
        expect((await eureka('PUT', '/apps/HELLO/hello-1', { url: replica.url })).status).toBe(200);
        expect((await eureka('DELETE', '/apps/BYE/1', { url: replica.url })).status).toBe(503);
      } finally {
        await registry.query('ALTER TABLE elsewhere RENAME TO registration');
      }
    });
  });

  describe('reports the error of a registration with', () => {
    it.each([
      ['an invalid route', { metadata: { routes: 'hello', access: 'public' } }, 400, '"hello" is invalid'],
      ['routes without an access policy', { metadata: { routes: 'GET /v1/hello' } }, 400, 'metadata.access'],
      ['an invalid port', { port: { $: 70_000, '@enabled': 'true' } }, 400, 'instance.port: must be a port'],
      ['no port', { port: { $: 1, '@enabled': 'false' } }, 400, 'neither port nor securePort'],
      ['an invalid address', { ipAddr: '127.0.0.1/admin?' }, 400, 'must be a host name or an IP address'],
      ['an address with a login', { hostName: 'a@b' }, 400, 'must be a host name or an IP address'],
      ['an invalid name', { app: 'HELLO WORLD' }, 400, 'instance.app'],
      ['another name than the URL', { app: 'BYE' }, 400, 'instance.app: is BYE'],
      ['an invalid status', { status: 'FINE' }, 400, 'instance.status'],
    ])('%s', async (_, changes, status, reason) => {
      const answer = await register(changes);
      expect({ status: answer.status, reason: answer.json?.message }).toEqual({
        status,
        reason: expect.stringContaining(reason),
      });
      expect(await hellos()).toEqual([]);
    });

    it('a body that is not a registration', async () => {
      const empty = await fetch(`${registry.url}/eureka/apps/HELLO`, {
        method: 'POST',
        headers: { authorization: toBasic('hello'), 'content-type': 'application/json' },
      });
      expect(empty.status).toBe(400);
      for (const body of [{}, { instance: {} }, [], '<instance>', 'not XML at all']) {
        const { status } = await eureka('POST', '/apps/HELLO', { body });
        expect({ body, status }).toEqual({ body, status: 400 });
      }
    });

    it('an unknown app or instance', async () => {
      for (const [method, path] of [
        ['PUT', '/apps/HELLO/hello-9'],
        ['DELETE', '/apps/HELLO/hello-9'],
        ['PUT', '/apps/HELLO/hello-9/status?value=UP'],
        ['GET', '/apps/UNKNOWN'],
        ['GET', '/apps/HELLO/hello-9'],
        ['GET', '/instances/hello-9'],
      ] as const) {
        expect({ method, path, status: (await eureka(method, path)).status }).toEqual({
          method,
          path,
          status: 404,
        });
      }
    });
  });

  describe('limits per credential:', () => {
    const flood = (changes: Record<string, unknown> = {}) =>
      eureka('POST', '/apps/FLOOD', {
        body: registration({ app: 'FLOOD', metadata: { access: 'public' }, ...changes }),
      });
    const floods = async () => (await instances()).filter(({ service }) => service === 'flood');
    const countStatuses = (answers: { status: number }[]) =>
      Object.fromEntries(
        [...Map.groupBy(answers, ({ status }) => status)].map(([status, some]) => [status, some.length]),
      );

    it('the number of instances, also with concurrent registrations', async () => {
      const all = await Promise.all(
        Array.from({ length: 40 }, (_, n) => flood({ instanceId: `f${n}`, leaseInfo: undefined })),
      );
      expect(countStatuses(all)).toEqual({ 204: mostInstances, 409: 40 - mostInstances });
      const present = await floods();
      expect(present).toHaveLength(mostInstances);
      // Registered instances may register again, and another app has its own limit.
      const instanceId = present[0]!.instance.split(':')[2]!;
      expect((await flood({ instanceId, leaseInfo: undefined })).status).toBe(204);
      expect((await register()).status).toBe(204);
      expect((await eureka('DELETE', `/apps/FLOOD/${instanceId}`)).status).toBe(200);
      expect((await flood({ instanceId: 'next', leaseInfo: undefined })).status).toBe(204);
    });

    it('the size and the lease of a registration', async () => {
      const long = Object.fromEntries(Array.from({ length: 3 }, (_, n) => [`k${n}`, 'x'.repeat(1_900)]));
      for (const [changes, reason] of [
        [{ metadata: long }, 'at most 4096 characters'],
        [{ metadata: { note: 'x'.repeat(2_001) } }, 'metadata'],
        [{ homePageUrl: `http://x/${'x'.repeat(500)}` }, 'homePageUrl'],
        [{ leaseInfo: { renewalIntervalInSecs: 3_600, durationInSecs: 3_600 } }, 'renewalIntervalInSecs'],
      ] as const) {
        const { status, json } = await flood(changes);
        expect({ status, message: json?.message }).toEqual({
          status: 400,
          message: expect.stringContaining(reason),
        });
      }
      await flood({ leaseInfo: { renewalIntervalInSecs: 1, durationInSecs: 3_600 } });
      const query = new URLSearchParams(long);
      expect((await eureka('PUT', `/apps/FLOOD/hello-1/metadata?${query}`)).status).toBe(400);
      const { leaseInfo } = (await eureka('GET', '/apps/FLOOD/hello-1')).json.instance;
      expect(leaseInfo).toMatchObject({ durationInSecs: 300 });
    });

    it('texts to characters that are safe in URLs, logs and terminals', async () => {
      for (const changes of [
        ...['a\u001b[31mb', 'a\0b', 'a\u202eb', '..', 'a/b', 'a b', 'a'.repeat(201)].map((instanceId) => ({
          instanceId,
        })),
        ...['1\u001b[31m', '1\u202e', '1 2', '..', '1'.repeat(61)].map((version) => ({
          metadata: { version },
        })),
        { metadata: { description: 'a\u001b]0;b\u0007' } },
        { vipAddress: 'a\u009bb' },
      ]) {
        const { status } = await flood(changes);
        expect({ changes, status }).toEqual({ changes, status: 400 });
      }
      expect(await floods()).toEqual([]);
      const instanceId = 'host.local:hello~1:8080@a+b-c_d';
      const metadata = { access: 'public', version: '1.0.0-rc.1+build_5', description: '인사', routes: '\n' };
      expect((await flood({ instanceId, metadata })).status).toBe(204);
    });

    it('the versions in the history to the latest ones', async () => {
      for (let n = 0; n < 25; n += 1) await flood({ metadata: { access: 'public', version: `v${n}` } });
      const versions = await eventually(async () => {
        const { versions } = (await (await fetch(`${registry.url}/contracts/flood`)).json()) as {
          versions: { version: string }[];
        };
        return versions.some(({ version }) => version === 'v24') && versions;
      });
      expect(versions).toHaveLength(20);
      expect(versions.map(({ version }) => version)).not.toContain('v3');
    });

    it('responses to roll calls, which only routing services keep', async () => {
      await flood({ leaseInfo: { renewalIntervalInSecs: 30, durationInSecs: 90 } });
      const connection = await new BrokerConnection().open(registry.broker.url, 'listens');
      const publisher = new Publisher(connection);
      await publisher.open();
      let announcements = 0;
      const received = { none: [] as object[], routes: [] as object[] };
      const all = (['none', 'routes'] as const).map(
        (kept) =>
          new Instances(
            connection,
            publisher,
            'test',
            ({ upstream, ...one }) => {
              if (upstream) received[kept].push(one);
            },
            kept,
          ),
      );
      const listener = new Listener(connection, ({ data }) => {
        // Instances of earlier tests are announced too.
        if ((data as { instance?: string }).instance === 'eureka:FLOOD:hello-1') announcements += 1;
      });
      await Promise.all([listener.open('instances.announced'), ...all.map((one) => one.open())]);
      const calls = setInterval(() => void registry.announce(RollCall({})), 20);
      await eventually(() => announcements >= 2).finally(() => clearInterval(calls));
      const before = announcements;
      const since = performance.now();
      const again = setInterval(() => void registry.announce(RollCall({})), 20);
      await sleep(1);
      clearInterval(again);
      const [count, elapsed] = [announcements - before, performance.now() - since];
      await Promise.all([listener.close(), ...all.map((one) => one.close())]);
      await connection.close();
      // Two per second. On a busy machine the measured time is longer.
      expect(count).toBeLessThanOrEqual(Math.floor(elapsed / 500) + 1);
      expect(received.none).toEqual([]);
      expect(received.routes.length).toBeGreaterThan(0);
      for (const one of received.routes) expect(one).not.toHaveProperty('registration');
    });

    it('the number of changes per minute', async () => {
      await flood({ leaseInfo: undefined });
      jest.replaceProperty(registry.get(RegistrySettings), 'changesPerApp', 5);
      const answers = await Promise.all(Array.from({ length: 20 }, () => flood({ leaseInfo: undefined })));
      expect(countStatuses(answers)).toEqual({ 204: 5, 429: 15 });
      for (const [method, path] of [
        ['PUT', '/status?value=DOWN'],
        ['DELETE', '/status'],
        ['PUT', '/metadata?a=b'],
        ['PUT', '?status=DOWN'],
      ] as const)
        expect((await eureka(method, `/apps/FLOOD/hello-1${path}`)).status).toBe(429);
      // Renewal, cancellation and other apps are not limited.
      expect((await eureka('PUT', '/apps/FLOOD/hello-1')).status).toBe(200);
      expect((await register()).status).toBe(204);
      expect((await eureka('DELETE', '/apps/FLOOD/hello-1')).status).toBe(200);
      jest.restoreAllMocks();
    });
  });

  it('protects the routes of a service of the store that has no instances', async () => {
    await greeter.stop();
    await registry.restart();
    const claim = { metadata: { routes: 'GET /v1/greetings/{who}', access: 'public' } };
    expect((await register(claim)).status).toBe(409);
    greeter = await start(GreeterModule, {
      environment: { RABBITMQ_URL: registry.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '5' },
    });
  });

  it('accepts an empty body with a content type', async () => {
    await register();
    const headers = { authorization: toBasic('hello'), 'content-type': 'application/json' };
    const renewed = await fetch(`${registry.url}/eureka/apps/HELLO/hello-1`, { method: 'PUT', headers });
    expect(renewed.status).toBe(200);
  });

  it('rejects changes to instances of the store', async () => {
    const [own] = (await instances()).filter(({ service }) => service === 'greeter');
    for (const [authorization, status] of [
      [toBasic('hello'), 403],
      [toBasic('greeter'), 401],
    ] as const) {
      for (const [method, end] of [
        ['DELETE', ''],
        ['PUT', '/status?value=DOWN'],
      ] as const) {
        const path = `/apps/GREETER/${own!.instance}${end}`;
        expect((await eureka(method, path, { authorization })).status).toBe(status);
      }
    }
  });

  it('drops an instance after three missed renewals', async () => {
    await register();
    const since = performance.now();
    await eventually(async () => (await hellos()).length === 0);
    expect(performance.now() - since).toBeGreaterThan(3.1 * renewal * 1_000);
  });

  it('does not count announcements by replicas as renewals', async () => {
    await replicate();
    await register();
    const since = performance.now();
    // Each new listener sends a roll call, and both replicas answer for the instance.
    const calls = setInterval(() => void registry.announce(RollCall({})), 100);
    await eventually(async () => (await hellos()).length === 0).finally(() => clearInterval(calls));
    expect(performance.now() - since).toBeLessThan(6 * renewal * 1_000);
  });

  it('shares leases between replicas', async () => {
    const replica = await replicate();
    await register();
    await eventually(async () => (await hellos(replica.url)).length === 1);
    // Renewed at one replica, alive at both.
    for (let n = 0; n < 5; n += 1) {
      await sleep(renewal);
      expect((await eureka('PUT', '/apps/HELLO/hello-1', { url: replica.url })).status).toBe(200);
      expect(await hellos()).toHaveLength(1);
    }
    const renewals = setInterval(() => void eureka('PUT', '/apps/HELLO/hello-1'), (renewal * 1_000) / 2);
    const newReplica = await replicate().finally(() => clearInterval(renewals));
    await eventually(async () => (await hellos(newReplica.url)).length === 1);
    expect((await eureka('DELETE', '/apps/HELLO/hello-1', { url: newReplica.url })).status).toBe(200);
    await eventually(async () => (await hellos()).length === 0 && (await hellos(replica.url)).length === 0);
  });

  it('takes an instance out of service, and back into service', async () => {
    await register();
    const status = async () => (await eureka('GET', '/apps/HELLO/hello-1')).json.instance.status;
    expect((await eureka('PUT', '/apps/HELLO/hello-1/status?value=OUT_OF_SERVICE')).status).toBe(200);
    expect(await status()).toBe('OUT_OF_SERVICE');
    expect(await hellos()).toMatchObject([{ state: 'out' }]);
    // The status set by an operator survives renewals and another registration.
    expect((await eureka('PUT', '/apps/HELLO/hello-1?status=UP')).status).toBe(200);
    expect((await register()).status).toBe(204);
    expect(await status()).toBe('OUT_OF_SERVICE');
    expect((await eureka('DELETE', '/apps/HELLO/hello-1/status')).status).toBe(200);
    expect(await hellos()).toMatchObject([{ state: 'up' }]);
    // Without it, the status of the instance applies.
    await eureka('PUT', '/apps/HELLO/hello-1?status=DOWN');
    expect(await status()).toBe('DOWN');
    expect(await hellos()).toMatchObject([{ state: 'out' }]);
    expect((await eureka('PUT', '/apps/HELLO/hello-1/status?value=SOMEHOW')).status).toBe(400);
  });

  it('changes the metadata and routes of an instance', async () => {
    await register();
    const path = '/apps/HELLO/hello-1/metadata';
    expect((await eureka('PUT', `${path}?weight=3&routes=${encodeURIComponent('GET /v1/hi')}`)).status).toBe(
      200,
    );
    const { metadata } = (await eureka('GET', '/apps/HELLO/hello-1')).json.instance;
    expect(metadata).toEqual({ routes: 'GET /v1/hi', access: 'public', version: '7', weight: '3' });
    await eventually(async () =>
      (await (await fetch(`${registry.url}/contracts/hello/7`)).text()).includes('"/v1/hi"'),
    );
    for (const [query, status] of [
      ['routes=hello', 400],
      [`routes=${encodeURIComponent('GET /v1/greetings/{who}')}`, 409],
      ['no%20name=1', 400],
    ] as const) {
      expect({ query, status: (await eureka('PUT', `${path}?${query}`)).status }).toEqual({ query, status });
    }
    expect((await eureka('PUT', '/apps/HELLO/hello-9/metadata?a=b')).status).toBe(404);
    expect((await eureka('PUT', `${path}?a=b`, { authorization: '' })).status).toBe(401);
    expect((await eureka('GET', '/apps/HELLO/hello-1')).json.instance.metadata).toEqual(metadata);
  });

  it('finds instances by application, id and VIP address', async () => {
    await register({ secureVipAddress: 'hello-safe' });
    const { applications } = (await eureka('GET', '/apps')).json;
    expect(applications.application.map(({ name }: { name: string }) => name)).toEqual([
      'GREETER',
      'HELLO',
      'REGISTRY',
    ]);
    expect(applications.apps__hashcode).toBe('UP_3_');
    expect((await eureka('GET', '/apps/hello')).json.application.instance).toHaveLength(1);
    expect((await eureka('GET', '/v2/apps/')).json.applications.application).toHaveLength(3);
    expect((await eureka('GET', '/instances/hello-1')).json.instance).toMatchObject({
      app: 'HELLO',
      hostName: 'localhost',
      port: { $: 8080, '@enabled': 'true' },
      actionType: 'ADDED',
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}' },
    });
    for (const path of ['/vips/hello', '/svips/hello-safe']) {
      expect((await eureka('GET', path)).json.applications.application).toMatchObject([{ name: 'HELLO' }]);
    }
    expect((await eureka('GET', '/vips/unknown')).json.applications.application).toEqual([]);
  });

  it('lists recent changes', async () => {
    const changes = async () => {
      const { applications } = (await eureka('GET', '/apps/delta')).json;
      expect(applications.apps__hashcode).toBe(
        (await eureka('GET', '/apps')).json.applications.apps__hashcode,
      );
      const hello = applications.application.find(({ name }: { name: string }) => name === 'DELTA');
      return hello?.instance.map(({ actionType }: { actionType: string }) => actionType);
    };
    const body = registration({ app: 'DELTA', metadata: {} });
    expect(await changes()).toBeUndefined();
    await eureka('POST', '/apps/DELTA', { body });
    expect(await changes()).toEqual(['ADDED']);
    await eureka('PUT', '/apps/DELTA/hello-1/status?value=DOWN');
    await eureka('DELETE', '/apps/DELTA/hello-1');
    expect(await changes()).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  });

  it('accepts only UTF-8', async () => {
    const send = (body: Buffer, type: string) =>
      fetch(`${registry.url}/eureka/apps/HELLO`, {
        method: 'POST',
        headers: { authorization: toBasic('hello'), 'content-type': type },
        body: new Uint8Array(body),
      }).then(({ status }) => status);
    const xml = (note: Buffer, declared = '') =>
      Buffer.concat([
        Buffer.from(`<?xml version="1.0"${declared}?><instance><note>`),
        note,
        Buffer.from('</note></instance>'),
      ]);
    const eucKr = Buffer.from([0xc7, 0xd1]);
    expect(await send(xml(eucKr), 'application/xml')).toBe(400);
    expect(await send(xml(Buffer.from('x'), ' encoding="EUC-KR"'), 'text/xml')).toBe(415);
    expect(await send(xml(Buffer.from('x')), 'text/xml; charset=euc-kr')).toBe(415);
    const json = Buffer.concat([Buffer.from('{"instance":"'), eucKr, Buffer.from('"}')]);
    expect(await send(json, 'application/json')).toBe(400);
    expect(await send(Buffer.from('{}'), 'application/json; charset=euc-kr')).toBe(415);
    expect((await fetch(`${registry.url}/eureka/apps/%c7%d1`)).status).toBe(400);
    const metadata = `${registry.url}/eureka/apps/HELLO/hello-1/metadata?note=%c7%d1`;
    expect(
      (await fetch(metadata, { method: 'PUT', headers: { authorization: toBasic('hello') } })).status,
    ).toBe(400);
  });

  it('supports XML', async () => {
    const body = `<?xml version="1.0"?><instance><instanceId>hello-x</instanceId><hostName>localhost</hostName>
      <app>HELLO</app><ipAddr>127.0.0.1</ipAddr><status>UP</status><port enabled="true">8081</port>
      <securePort enabled="false">443</securePort>
      <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
      <leaseInfo><renewalIntervalInSecs>30</renewalIntervalInSecs><durationInSecs>90</durationInSecs></leaseInfo>
      <metadata><routes>GET /v1/hello</routes><access>public</access><note>a &lt; b &amp; c</note></metadata></instance>`;
    expect(await eureka('POST', '/apps/HELLO', { body })).toMatchObject({ status: 204 });
    expect(await hellos()).toMatchObject([{ url: 'http://127.0.0.1:8081' }]);
    // XML is the default without an Accept header, as in Eureka.
    for (const accept of ['', 'application/xml']) {
      const { text } = await eureka('GET', '/apps/HELLO', { accept });
      expect(text).toContain('<name>HELLO</name>');
      expect(text).toContain('<port enabled="true">8081</port>');
      expect(text).toContain('<note>a &lt; b &amp; c</note>');
    }
  });
});

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
