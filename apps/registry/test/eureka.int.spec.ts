import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { start, type RunningService } from '@jogakbo/service';
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
const toBasic = (app: string, secret = getSecret(app)) =>
  `Basic ${Buffer.from(`${app}:${secret}`).toString('base64')}`;
/** Differs in the lowest bit, which the padding of these credentials leaves without meaning. */
const nextLetter = (letter: string) => String.fromCharCode(letter.charCodeAt(0) + 1);
const operator = { caller: { memberId: 'the operator', roles: ['operator'] } };
/** What is registered from here. */
const everyRoute = {
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
        ...{ SHORTEST_RENEWAL: String(renewal), ANNOUNCE_EVERY: '5' },
        DENIED_UPSTREAMS: '127.0.0.1:6543',
        ...{ INSTANCES_PER_APP: String(mostInstances), CHANGES_PER_APP: '10000' },
      },
      { fastify: httpOptions, configure },
    );
    for (const [app, routes] of Object.entries(everyRoute)) await grant(app, { routes });
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

  /** Lets an app register, as an operator does. */
  const grant = (app: string, changes: { secret?: string; routes?: string[]; networks?: string[] } = {}) => {
    const { secret = getSecret(app), routes = [], networks = ['127.0.0.0/8'] } = changes;
    const secretHash = createHash('sha256').update(secret).digest('hex');
    return registry.ask(SetRegistration, { app, secretHash, routes, networks }, operator);
  };

  /** With the credential of the app that the path names. */
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
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
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

  /** A stock client, as its documentation has it. */
  function stockClient(): EurekaClient {
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

  describe('serves a stock client', () => {
    it('that registers, renews, fetches and cancels', async () => {
      const client = stockClient();
      await new Promise<void>((resolve, reject) => {
        client.start((error?: Error) => (error ? reject(error) : resolve()));
      });
      expect(await hellos()).toMatchObject([
        {
          ...{ service: 'hello', version: '7', instance: 'eureka:HELLO:hello-1', state: 'up' },
          ...{ upstream: 'http', url: 'http://127.0.0.1:8080' },
        },
      ]);
      // All our own instances are there, too.
      expect(client.getInstancesByAppId('GREETER')).toMatchObject([
        { app: 'GREETER', status: 'UP', port: { $: Number(new URL(greeter.url).port) } },
      ]);
      expect(client.getInstancesByVipAddress('hello')).toHaveLength(1);

      // Four of its intervals, with nothing but renewals.
      await Promise.all([once(client as never, 'heartbeat'), sleep(4 * renewal)]);
      expect(await hellos()).toHaveLength(1);

      await new Promise((resolve) => client.stop(resolve));
      clients.length = 0;
      expect(await hellos()).toEqual([]);
    });

    it('again after it was forgotten', async () => {
      const client = stockClient();
      await new Promise<void>((resolve) => client.start(() => resolve()));
      await eureka('DELETE', '/apps/HELLO/hello-1');
      expect(await hellos()).toEqual([]);
      await eventually(async () => (await hellos()).length === 1);
    });
  });

  describe('accepts no registration', () => {
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
      ['of an app that is not known', toBasic('nobody', ''), 401],
      ['in base64 with other last bits', toBasic('hello').replace(/.(?==*$)/, nextLetter), 401],
      ['in base64 with a character of no alphabet', toBasic('hello').replace('Basic a', 'Basic *a'), 401],
      ['with the secret as the name', toBasic(getSecret('hello'), ''), 401],
      ['with something else', `Bearer ${getSecret('hello')}`, 401],
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

    it('of another app beneath the address of its own', async () => {
      const body = registration({ app: 'HELLO' });
      expect((await eureka('POST', '/apps/BYE', { body })).status).toBe(400);
      expect(await hellos()).toEqual([]);
    });
  });

  describe('permits no address', () => {
    const at = (address: string, port = 8080) => ({
      ...{ hostName: address, ipAddr: undefined },
      port: { $: port, '@enabled': 'true' },
    });
    it.each([
      ['of another network', at('10.0.0.1'), 'in none of the permitted networks'],
      ['of a metadata service', at('169.254.169.254'), 'never permitted (linkLocal)'],
      ['that is unspecified', at('0.0.0.0'), 'never permitted (unspecified)'],
      ['that means all', at('0'), 'never permitted (unspecified)'],
      ['of IPv6 that the networks do not name', at('::1'), 'in none of the permitted networks'],
      ['of the broker or of itself', at('127.0.0.1', 6543), 'belongs to the store itself'],
      ['of the store in another spelling', at('0x7f000002', 6543), 'belongs to the store itself'],
      ['of the store in IPv6', at('::ffff:7f00:1', 6543), 'belongs to the store itself'],
    ])('%s', async (_, changes, why) => {
      const answer = await register(changes);
      expect({ status: answer.status, why: answer.json?.message }).toEqual({
        status: 403,
        why: expect.stringContaining(why),
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

    it('without networks that name loopback', async () => {
      await grant('open', { networks: ['0.0.0.0/0', '::/0'] });
      for (const address of ['127.0.0.1', '::1', 'localhost', '::ffff:7f00:1', '2130706433']) {
        const body = registration({ app: 'OPEN', metadata: {}, ...at(address) });
        const { status, json } = await eureka('POST', '/apps/OPEN', { body });
        expect({ address, status, message: json?.message }).toEqual({
          ...{ address, status: 403 },
          message: expect.stringContaining('loopback explicitly'),
        });
      }
      await registry.ask(RemoveRegistration, { app: 'open' }, operator);
    });

    it('whose name cannot be resolved', async () => {
      expect(await register(at('nowhere.invalid'))).toMatchObject({ status: 400 });
    });
  });

  describe('a registration', () => {
    it('is shown without its secret', async () => {
      const { items } = await registry.ask(ListRegistrations, {}, operator);
      expect(items.map(({ app }) => app)).toEqual(['bye', 'delta', 'flood', 'hello']);
      expect(items[3]).toEqual({
        ...{ app: 'hello', routes: everyRoute.hello, networks: ['127.0.0.0/8'] },
        ...{ changedBy: 'the operator', changedAt: expect.stringMatching(/Z$/) },
      });
      expect(JSON.stringify(await registry.query('SELECT * FROM registration'))).not.toContain('the secret');
    });

    it.each([
      ['a route of ours', ['GET /v1/greetings/{who}'], 'route-taken', 'greeter has'],
      ['a corner of a route of ours', ['GET /v1/greetings/me'], 'route-taken', 'greeter has'],
      ['a route of an operator', ['GET /v1/ops/instances'], 'route-taken', 'registry has'],
      ['the pages of ours', ['GET /greetings/all'], 'route-taken', '* /greetings/*'],
      ['all that lies beneath one segment', ['POST /{a}/{b}'], 'route-taken', '* /greetings/*'],
      ['a route of another app', ['GET /v1/hello/kim'], 'route-taken', 'hello has'],
      ['what the gateway answers', ['GET /metrics'], 'invalid-registration', 'not for services'],
      ['the keys', ['GET /.well-known/jwks.json'], 'invalid-registration', 'not for services'],
      ['no route', ['hello'], 'invalid-registration', 'not a route'],
    ])('cannot hold %s', async (_, routes, code, why) => {
      await expect(grant('thief', { routes })).rejects.toMatchObject({
        code,
        message: expect.stringContaining(why),
      });
    });

    it('is for no service of ours, and for networks only', async () => {
      await expect(grant('greeter')).rejects.toMatchObject({ code: 'app-taken' });
      await expect(grant('thief', { networks: ['all'] })).rejects.toMatchObject({
        code: 'invalid-registration',
      });
      await expect(registry.ask(RemoveRegistration, { app: 'thief' }, operator)).rejects.toMatchObject({
        code: 'unknown-app',
      });
    });

    it('holds its routes while its app is away', async () => {
      expect(await hellos()).toEqual([]);
      await expect(grant('thief', { routes: ['GET /v1/hello'] })).rejects.toMatchObject({
        code: 'route-taken',
      });
      const body = registration({ app: 'BYE' });
      const { status, json } = await eureka('POST', '/apps/BYE', { body });
      expect({ status, message: json.message }).toEqual({
        status: 403,
        message: expect.stringContaining('"GET /v1/hello" is not granted to bye'),
      });
    });

    it('that changes makes instances leave that it does not permit any more', async () => {
      await register();
      await grant('hello', { routes: ['GET /v1/hello'] });
      await eventually(async () => (await hellos()).length === 0);
      expect((await register()).status).toBe(403);
      await grant('hello', { routes: everyRoute.hello });
      await register();
      await grant('hello', { routes: everyRoute.hello, networks: ['10.0.0.0/8'] });
      await eventually(async () => (await hellos()).length === 0);
      await grant('hello', { routes: everyRoute.hello });
      await register();
      await grant('hello', { routes: everyRoute.hello, secret: 'another' });
      expect(await hellos()).toHaveLength(1);
      expect((await eureka('PUT', '/apps/HELLO/hello-1')).status).toBe(401);
      await grant('hello', { routes: everyRoute.hello });
    });

    it('is read by the replicas at once, and known while the database is away', async () => {
      const replica = await replicate();
      await register({}, { url: replica.url });
      await registry.ask(RemoveRegistration, { app: 'hello' }, operator);
      expect((await register({}, { url: replica.url })).status).toBe(401);
      await grant('hello', { routes: everyRoute.hello });
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

  describe('says what is wrong with', () => {
    it.each([
      ['a route', { metadata: { routes: 'hello', access: 'public' } }, 400, '"hello" is not a route'],
      ['routes that nobody may use', { metadata: { routes: 'GET /v1/hello' } }, 400, 'metadata.access'],
      ['a port', { port: { $: 70_000, '@enabled': 'true' } }, 400, 'instance.port: is not a port'],
      ['no port at all', { port: { $: 1, '@enabled': 'false' } }, 400, 'neither port nor securePort'],
      ['an address', { ipAddr: '127.0.0.1/admin?' }, 400, 'not the name or address of a host'],
      ['an address with a login', { hostName: 'a@b' }, 400, 'not the name or address of a host'],
      ['a name', { app: 'HELLO WORLD' }, 400, 'instance.app'],
      ['another name than the address has', { app: 'BYE' }, 400, 'instance.app: is BYE'],
      ['a status', { status: 'FINE' }, 400, 'instance.status'],
    ])('%s', async (_, changes, status, why) => {
      const answer = await register(changes);
      expect({ status: answer.status, why: answer.json?.message }).toEqual({
        status,
        why: expect.stringContaining(why),
      });
      expect(await hellos()).toEqual([]);
    });

    it('something that is no registration', async () => {
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

    it('what it does not know', async () => {
      for (const [method, path] of [
        ['PUT', '/apps/HELLO/hello-9'],
        ['DELETE', '/apps/HELLO/hello-9'],
        ['PUT', '/apps/HELLO/hello-9/status?value=UP'],
        ['GET', '/apps/NOBODY'],
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

  describe('limits what one credential has announced:', () => {
    const flood = (changes: Record<string, unknown> = {}) =>
      eureka('POST', '/apps/FLOOD', {
        body: registration({ app: 'FLOOD', metadata: { access: 'public' }, ...changes }),
      });
    const floods = async () => (await instances()).filter(({ service }) => service === 'flood');
    const countStatuses = (answers: { status: number }[]) =>
      Object.fromEntries(
        [...Map.groupBy(answers, ({ status }) => status)].map(([status, some]) => [status, some.length]),
      );

    it('so many instances, however many register at once', async () => {
      const all = await Promise.all(
        Array.from({ length: 40 }, (_, n) => flood({ instanceId: `f${n}`, leaseInfo: undefined })),
      );
      expect(countStatuses(all)).toEqual({ 204: mostInstances, 409: 40 - mostInstances });
      const present = await floods();
      expect(present).toHaveLength(mostInstances);
      // Those that are there go on, and another app has its own places.
      const instanceId = present[0]!.instance.split(':')[2]!;
      expect((await flood({ instanceId, leaseInfo: undefined })).status).toBe(204);
      expect((await register()).status).toBe(204);
      expect((await eureka('DELETE', `/apps/FLOOD/${instanceId}`)).status).toBe(200);
      expect((await flood({ instanceId: 'next', leaseInfo: undefined })).status).toBe(204);
    });

    it('what a registration holds, and how long it lasts', async () => {
      const long = Object.fromEntries(Array.from({ length: 3 }, (_, n) => [`k${n}`, 'x'.repeat(1_900)]));
      for (const [changes, why] of [
        [{ metadata: long }, '4096 characters at most'],
        [{ metadata: { note: 'x'.repeat(2_001) } }, 'metadata'],
        [{ homePageUrl: `http://x/${'x'.repeat(500)}` }, 'homePageUrl'],
        [{ leaseInfo: { renewalIntervalInSecs: 3_600, durationInSecs: 3_600 } }, 'renewalIntervalInSecs'],
      ] as const) {
        const { status, json } = await flood(changes);
        expect({ status, message: json?.message }).toEqual({
          ...{ status: 400, message: expect.stringContaining(why) },
        });
      }
      await flood({ leaseInfo: { renewalIntervalInSecs: 1, durationInSecs: 3_600 } });
      const query = new URLSearchParams(long);
      expect((await eureka('PUT', `/apps/FLOOD/hello-1/metadata?${query}`)).status).toBe(400);
      const { leaseInfo } = (await eureka('GET', '/apps/FLOOD/hello-1')).json.instance;
      expect(leaseInfo).toMatchObject({ durationInSecs: 300 });
    });

    it('texts that address, log and terminal can take', async () => {
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

    it('so many versions in the history, those that were spoken last', async () => {
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

    it('one answer to many roll calls, and nothing of it to services that do not route', async () => {
      await flood({ leaseInfo: { renewalIntervalInSecs: 30, durationInSecs: 90 } });
      const connection = await new BrokerConnection().open(registry.broker.url, 'listens');
      const publisher = new Publisher(connection);
      await publisher.open();
      let announcements = 0;
      const heard = { none: [] as object[], routes: [] as object[] };
      const all = (['none', 'routes'] as const).map(
        (kept) =>
          new Instances(
            connection,
            publisher,
            'test',
            ({ upstream, ...one }) => {
              if (upstream) heard[kept].push(one);
            },
            kept,
          ),
      );
      const listener = new Listener(connection, ({ data }) => {
        // The tests before left other instances, which are announced too.
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
      const [heardOf, elapsed] = [announcements - before, performance.now() - since];
      await Promise.all([listener.close(), ...all.map((one) => one.close())]);
      await connection.close();
      // Two a second, in a time that is longer on a busy machine.
      expect(heardOf).toBeLessThanOrEqual(Math.floor(elapsed / 500) + 1);
      expect(heard.none).toEqual([]);
      expect(heard.routes.length).toBeGreaterThan(0);
      for (const one of heard.routes) expect(one).not.toHaveProperty('registration');
    });

    it('so many changes in a minute', async () => {
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
      // It stays while it renews, it may leave, and other apps go on.
      expect((await eureka('PUT', '/apps/FLOOD/hello-1')).status).toBe(200);
      expect((await register()).status).toBe(204);
      expect((await eureka('DELETE', '/apps/FLOOD/hello-1')).status).toBe(200);
      jest.restoreAllMocks();
    });
  });

  it('guards the routes of a service of ours that is away', async () => {
    await greeter.stop();
    await registry.restart();
    const taken = { metadata: { routes: 'GET /v1/greetings/{who}', access: 'public' } };
    expect((await register(taken)).status).toBe(409);
    greeter = await start(GreeterModule, {
      environment: { RABBITMQ_URL: registry.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '5' },
    });
  });

  it('takes no offence at a type of nothing', async () => {
    await register();
    const headers = { authorization: toBasic('hello'), 'content-type': 'application/json' };
    const renewed = await fetch(`${registry.url}/eureka/apps/HELLO/hello-1`, { method: 'PUT', headers });
    expect(renewed.status).toBe(200);
  });

  it('does not let instances of ours be cancelled', async () => {
    const [ours] = (await instances()).filter(({ service }) => service === 'greeter');
    for (const [authorization, status] of [
      [toBasic('hello'), 403],
      [toBasic('greeter'), 401],
    ] as const) {
      for (const [method, end] of [
        ['DELETE', ''],
        ['PUT', '/status?value=DOWN'],
      ] as const) {
        const path = `/apps/GREETER/${ours!.instance}${end}`;
        expect((await eureka(method, path, { authorization })).status).toBe(status);
      }
    }
  });

  it('drops an instance after three renewals that did not come', async () => {
    await register();
    const since = performance.now();
    await eventually(async () => (await hellos()).length === 0);
    expect(performance.now() - since).toBeGreaterThan(3.1 * renewal * 1_000);
  });

  it('does not take what replicas say of an instance for a sign of its life', async () => {
    await replicate();
    await register();
    const since = performance.now();
    // Every listener that comes calls the roll, and both replicas answer for the instance.
    const calls = setInterval(() => void registry.announce(RollCall({})), 100);
    await eventually(async () => (await hellos()).length === 0).finally(() => clearInterval(calls));
    expect(performance.now() - since).toBeLessThan(6 * renewal * 1_000);
  });

  it('shares leases between replicas', async () => {
    const replica = await replicate();
    await register();
    await eventually(async () => (await hellos(replica.url)).length === 1);
    // Renewed at one, alive at both.
    for (let n = 0; n < 5; n += 1) {
      await sleep(renewal);
      expect((await eureka('PUT', '/apps/HELLO/hello-1', { url: replica.url })).status).toBe(200);
      expect(await hellos()).toHaveLength(1);
    }
    const renewals = setInterval(() => void eureka('PUT', '/apps/HELLO/hello-1'), (renewal * 1_000) / 2);
    const newcomer = await replicate().finally(() => clearInterval(renewals));
    await eventually(async () => (await hellos(newcomer.url)).length === 1);
    expect((await eureka('DELETE', '/apps/HELLO/hello-1', { url: newcomer.url })).status).toBe(200);
    await eventually(async () => (await hellos()).length === 0 && (await hellos(replica.url)).length === 0);
  });

  it('takes an instance out of service, and lets it in again', async () => {
    await register();
    const status = async () => (await eureka('GET', '/apps/HELLO/hello-1')).json.instance.status;
    expect((await eureka('PUT', '/apps/HELLO/hello-1/status?value=OUT_OF_SERVICE')).status).toBe(200);
    expect(await status()).toBe('OUT_OF_SERVICE');
    expect(await hellos()).toMatchObject([{ state: 'out' }]);
    // What an operator decided outlives renewals and another registration.
    expect((await eureka('PUT', '/apps/HELLO/hello-1?status=UP')).status).toBe(200);
    expect((await register()).status).toBe(204);
    expect(await status()).toBe('OUT_OF_SERVICE');
    expect((await eureka('DELETE', '/apps/HELLO/hello-1/status')).status).toBe(200);
    expect(await hellos()).toMatchObject([{ state: 'up' }]);
    // What the instance says of itself counts otherwise.
    await eureka('PUT', '/apps/HELLO/hello-1?status=DOWN');
    expect(await status()).toBe('DOWN');
    expect(await hellos()).toMatchObject([{ state: 'out' }]);
    expect((await eureka('PUT', '/apps/HELLO/hello-1/status?value=SOMEHOW')).status).toBe(400);
  });

  it('changes what an instance says of itself, and where its requests go', async () => {
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

  it('answers by application, instance and address', async () => {
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
      ...{ app: 'HELLO', hostName: 'localhost', port: { $: 8080, '@enabled': 'true' }, actionType: 'ADDED' },
      metadata: { routes: 'GET /v1/hello; GET /v1/hello/{name}' },
    });
    for (const path of ['/vips/hello', '/svips/hello-safe']) {
      expect((await eureka('GET', path)).json.applications.application).toMatchObject([{ name: 'HELLO' }]);
    }
    expect((await eureka('GET', '/vips/nobody')).json.applications.application).toEqual([]);
  });

  it('tells what changed of late', async () => {
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

  it('reads text in UTF-8, and no other', async () => {
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

  it('speaks XML with those who do', async () => {
    const body = `<?xml version="1.0"?><instance><instanceId>hello-x</instanceId><hostName>localhost</hostName>
      <app>HELLO</app><ipAddr>127.0.0.1</ipAddr><status>UP</status><port enabled="true">8081</port>
      <securePort enabled="false">443</securePort>
      <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
      <leaseInfo><renewalIntervalInSecs>30</renewalIntervalInSecs><durationInSecs>90</durationInSecs></leaseInfo>
      <metadata><routes>GET /v1/hello</routes><access>public</access><note>a &lt; b &amp; c</note></metadata></instance>`;
    expect(await eureka('POST', '/apps/HELLO', { body })).toMatchObject({ status: 204 });
    expect(await hellos()).toMatchObject([{ url: 'http://127.0.0.1:8081' }]);
    // Who does not say what it accepts gets XML, as from Eureka itself.
    for (const accept of ['', 'application/xml']) {
      const { text } = await eureka('GET', '/apps/HELLO', { accept });
      expect(text).toContain('<name>HELLO</name>');
      expect(text).toContain('<port enabled="true">8081</port>');
      expect(text).toContain('<note>a &lt; b &amp; c</note>');
    }
  });
});

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
