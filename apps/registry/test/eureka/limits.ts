import { describe, expect, it, jest } from '@jest/globals';
import { BrokerConnection, Instances, Listener, Publisher } from '@jogakbo/messaging';
import { eventually } from '@jogakbo/testing';
import { RegistrySettings } from '../../src/settings.ts';
import { mostInstances, RollCall, sleep, type EurekaUnderTest } from './eureka-under-test.ts';

export function testLimits(api: EurekaUnderTest): void {
  const { eureka, instances, register, registration } = api;

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
        const { versions } = (await (await fetch(`${api.registry.url}/contracts/flood`)).json()) as {
          versions: { version: string }[];
        };
        // The oldest ones are deleted after a new one is stored.
        return versions.length <= 20 && versions.some(({ version }) => version === 'v24') && versions;
      });
      expect(versions).toHaveLength(20);
      expect(versions.map(({ version }) => version)).not.toContain('v3');
    });

    it('responses to roll calls, which only routing services keep', async () => {
      await flood({ leaseInfo: { renewalIntervalInSecs: 30, durationInSecs: 90 } });
      const connection = await new BrokerConnection().open(api.registry.broker.url, 'listens');
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
      const calls = setInterval(() => void api.registry.announce(RollCall({})), 20);
      await eventually(() => announcements >= 2).finally(() => clearInterval(calls));
      const before = announcements;
      const since = performance.now();
      const again = setInterval(() => void api.registry.announce(RollCall({})), 20);
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
      jest.replaceProperty(api.registry.get(RegistrySettings), 'changesPerApp', 5);
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
}
