import { once } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { renewal, RollCall, sleep, type EurekaUnderTest } from './eureka-under-test.ts';

export function testLeases(api: EurekaUnderTest): void {
  const { eureka, hellos, register, replicate, startClient } = api;

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
        { app: 'GREETER', status: 'UP', port: { $: Number(new URL(api.greeter.url).port) } },
      ]);
      expect(client.getInstancesByVipAddress('hello')).toHaveLength(1);

      // Four intervals, with renewals only.
      await Promise.all([once(client as never, 'heartbeat'), sleep(4 * renewal)]);
      expect(await hellos()).toHaveLength(1);

      await new Promise((resolve) => client.stop(resolve));
      api.clients.length = 0;
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
    const calls = setInterval(() => void api.registry.announce(RollCall({})), 100);
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
}
