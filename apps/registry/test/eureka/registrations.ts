import { describe, expect, it } from '@jest/globals';
import { ListRegistrations, RemoveRegistration } from '@jogakbo/contracts-registry';
import { eventually } from '@jogakbo/testing';
import { operator, routesByApp, toBasic, type EurekaUnderTest } from './eureka-under-test.ts';

export function testRegistrations(api: EurekaUnderTest): void {
  const { eureka, grant, hellos, register, registration, replicate } = api;

  describe('a registration', () => {
    it('is listed without its secret', async () => {
      const { items } = await api.registry.ask(ListRegistrations, {}, operator);
      expect(items.map(({ app }) => app)).toEqual(['bye', 'delta', 'flood', 'hello']);
      expect(items[3]).toEqual({
        app: 'hello',
        routes: routesByApp.hello,
        networks: ['127.0.0.0/8'],
        changedBy: 'the operator',
        changedAt: expect.stringMatching(/Z$/),
      });
      expect(JSON.stringify(await api.registry.query('SELECT * FROM registration'))).not.toContain(
        'the secret',
      );
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
      await expect(api.registry.ask(RemoveRegistration, { app: 'other' }, operator)).rejects.toMatchObject({
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
      await api.registry.ask(RemoveRegistration, { app: 'hello' }, operator);
      expect((await register({}, { url: replica.url })).status).toBe(401);
      await grant('hello', { routes: routesByApp.hello });
      expect((await register({}, { url: replica.url })).status).toBe(204);
      await api.registry.query('ALTER TABLE registration RENAME TO elsewhere');
      try {
        expect((await eureka('PUT', '/apps/HELLO/hello-1', { url: replica.url })).status).toBe(200);
        expect((await eureka('DELETE', '/apps/BYE/1', { url: replica.url })).status).toBe(503);
      } finally {
        await api.registry.query('ALTER TABLE elsewhere RENAME TO registration');
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
      ['half a surrogate pair', { metadata: { description: 'a\ud800' } }, 400, 'unpaired surrogates'],
      ['half a surrogate pair in an address', { vipAddress: '\udc00' }, 400, 'unpaired surrogates'],
    ])('%s', async (_, changes, status, reason) => {
      const answer = await register(changes);
      expect({ status: answer.status, reason: answer.json?.message }).toEqual({
        status,
        reason: expect.stringContaining(reason),
      });
      expect(await hellos()).toEqual([]);
    });

    it('a body that is not a registration', async () => {
      const empty = await fetch(`${api.registry.url}/eureka/apps/HELLO`, {
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
}
