import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { KnownServices } from '../../src/known-services.ts';
import { Announced, type UpstreamsUnderTest } from './upstreams-under-test.ts';

export function testRegistrations(upstreams: UpstreamsUnderTest): void {
  const { call, announce, announced, startHttpService, waitForRoute } = upstreams;

  describe('register and deregister', () => {
    it('immediately on announcement, and their routes return 503 while no instance is up', async () => {
      const hello = await startHttpService();
      await announce(hello);
      await waitForRoute('/v1/hello');
      await announce(hello, { state: 'out' });
      await eventually(async () => (await call('/v1/hello')).status === 503, 500);
      await announce(hello);
      await waitForRoute('/v1/hello');
      // The instance cancelled its registration, so the route is removed.
      await upstreams.gateway.announce(Announced({ ...announced.at(-1)!, state: 'draining' }));
      await eventually(async () => (await call('/v1/hello')).status === 404, 500);
      const { paths } = (await call('/openapi.json')).body;
      expect(Object.keys(paths).filter((path) => path.startsWith('/v1/hello'))).toEqual([]);
    });

    it('one by one, and the routes are removed with the last instance', async () => {
      const [first, second] = [await startHttpService(), await startHttpService()];
      await announce(first);
      await announce(second);
      await upstreams.gateway.announce(Announced({ ...announced[0]!, state: 'draining' }));
      expect((await call('/v1/hello')).status).toBe(200);
      await upstreams.gateway.announce(Announced({ ...announced[1]!, state: 'draining' }));
      await eventually(async () => (await call('/v1/hello')).status === 404, 500);
    });

    it('after three missed heartbeats', async () => {
      const hello = await startHttpService();
      const began = performance.now();
      await announce(hello, { interval: 0.4 });
      await waitForRoute('/v1/hello');
      await eventually(async () => (await call('/v1/hello')).status === 503, 2_500);
      expect(performance.now() - began).toBeGreaterThan(1_100);
      // The instance may return, so its routes stay documented.
      expect((await call('/openapi.json')).body.paths).toHaveProperty('/v1/hello');
    });

    it('with changed routes', async () => {
      const hello = await startHttpService();
      await announce(hello, { routes: ['GET /v1/hello-1'] });
      await waitForRoute('/v1/hello-1');
      await announce(hello, { routes: ['GET /v1/hello-2'] });
      await waitForRoute('/v1/hello-2');
      expect((await call('/v1/hello-1')).status).toBe(404);
    });
  });

  it('cannot trigger more than ten route table updates per second', async () => {
    const hello = await startHttpService();
    await announce(hello);
    const services = upstreams.gateway.get(KnownServices);
    let tables = 0;
    services.onTable(() => (tables += 1));
    const began = performance.now();
    const { instance: _, ...announcement } = announced.at(-1) as { instance: string };
    for (let n = 0; n < 300; n += 1) {
      const one = { ...announcement, instance: `eureka:HELLO:flood-${n}` };
      announced.push(one);
      await upstreams.gateway.announce(Announced(one));
    }
    await eventually(() => services.getUpstreams('hello').length === 301);
    expect(tables).toBeLessThanOrEqual((performance.now() - began) / 100 + 12);
    expect((await call('/v1/things')).status).toBe(200);
  });

  describe('cannot take over', () => {
    it.each([
      ['a route of an internal service', 'aaa', 'GET /v1/things'],
      [
        'a path below a route of an internal service',
        'aaa',
        'GET /v1/things/0190a5a0-0000-7000-8000-000000000001',
      ],
      ['the JWKS route', 'aaa', 'GET /.well-known/jwks.json'],
      ['the name of an internal service', 'demo', 'GET /v1/things'],
      ['a route of the gateway', 'aaa', 'GET /health/{what}'],
      ['the root page of the gateway', 'aaa', 'GET /'],
    ])('%s', async (_, name, route) => {
      const intruder = await startHttpService();
      // An early start time and an alphabetically early name give no precedence.
      await announce(intruder, {
        name,
        routes: [route, 'GET /v1/hello'],
        startedAt: '2020-01-01T00:00:00.000Z',
      });
      if (name === 'demo') expect((await call('/v1/hello')).status).not.toBe(200);
      else await waitForRoute('/v1/hello');
      expect((await call('/v1/things')).body).toHaveProperty('seen');
      await call('/v1/things/0190a5a0-0000-7000-8000-000000000001');
      await call('/.well-known/jwks.json');
      await call('/health/live');
      expect((await call('/')).body).toHaveProperty('documentation');
      expect(intruder.requests.filter(({ url }) => url !== '/v1/hello')).toEqual([]);
      const { paths } = (await call('/openapi.json')).body;
      const operation = paths[route.split(' ')[1]!]?.get;
      expect(operation?.tags ?? []).not.toContain(name === 'demo' ? 'none' : name);
    });

    it('a route that another external service announced first', async () => {
      const [first, second] = [await startHttpService(), await startHttpService()];
      await announce(first, { name: 'hello-zzz', routes: ['GET /v1/hello-mine'] });
      await sleep(5);
      await announce(second, { name: 'hello-aaa', routes: ['GET /v1/hello-mine'] });
      for (let n = 0; n < 5; n += 1) await call('/v1/hello-mine');
      expect([first.requests.length, second.requests.length]).toEqual([5, 0]);
      const getTags = async () => (await call('/openapi.json')).body.paths['/v1/hello-mine'].get.tags;
      expect(await getTags()).toEqual(['hello-zzz']);
      // The route is released once its service is gone.
      await upstreams.gateway.announce(Announced({ ...announced.at(-2)!, state: 'draining' }));
      await eventually(async () => {
        await call('/v1/hello-mine');
        return second.requests.length > 0;
      });
      expect(await getTags()).toEqual(['hello-aaa']);
    });
  });
}
