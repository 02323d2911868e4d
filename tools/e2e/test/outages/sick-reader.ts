import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { stopService } from '../../src/hold-down.ts';
import { until } from '../../src/jogakbo.ts';
import { setLive } from './live-settings.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';

const closed = 0;
const open = 2;

export const searchOutage = (gateways: TwoGateways) =>
  describe('while search is killed', () => {
    const { store } = gateways;
    let buyer: { email: string; token: string };
    let productId: string;
    beforeAll(async () => {
      buyer = await store.createMember();
      productId = await store.createProduct(10);
    });

    /** Sends an uncached search. */
    const search = () =>
      store.call('GET', `/v1/search?q=${randomUUID().slice(0, 8)}`, {
        headers: { 'cache-control': 'no-cache' },
      });

    /** Circuit state of search at the gateway; undefined before the first call. */
    async function readCircuit(): Promise<number | undefined> {
      const { text } = await store.call('GET', '/metrics');
      const line = text.split('\n').find((one) => /^calls_circuit\{.*callee="search"/.test(one));
      return line ? Number(line.split(' ').at(-1)) : undefined;
    }

    it('the circuit breaker opens and closes, visible on /metrics, and the other services work', async () => {
      expect((await search()).status).toBe(200);
      expect(await readCircuit()).toBe(closed);
      const restore = await stopService(store, 'search');
      const times: number[] = [];
      const statuses = new Set<number>();
      try {
        await until(async () => {
          await Promise.all(Array.from({ length: 10 }, search));
          return (await readCircuit()) === open;
        }, 15_000);
        const { token } = buyer;
        const before = await store.readAvailable(productId);
        expect(await store.buy(token, store.buildOrder(productId))).toMatchObject({
          status: 201,
          body: { status: 'confirmed' },
        });
        expect(await store.readAvailable(productId)).toBe(before - 1);
        for (const path of [`/v1/products/${productId}`, '/v1/products', '/v1/orders', '/v1/members/me'])
          expect([path, (await store.call('GET', path, { token })).status]).toEqual([path, 200]);
        for (let n = 0; n < 20; n++) {
          const sentAt = performance.now();
          statuses.add((await search()).status);
          times.push(Math.round(performance.now() - sentAt));
        }
        expect(await readCircuit()).toBe(open);
      } finally {
        await restore();
      }
      // Rejected at once, or answered by the fallback.
      expect([...statuses].filter((status) => ![200, 503].includes(status))).toEqual([]);
      console.info(`search down: answered with ${[...statuses]} after ${Math.max(...times)} ms at most`);
      await until(async () => (await search()).status === 200 && (await readCircuit()) === closed);
    }, 60_000);

    it('a changed policy resets the circuit breaker', async () => {
      const restore = await stopService(store, 'search');
      try {
        const openForLong = JSON.stringify({ search: { openFor: 600_000 } });
        await setLive(gateways, 'gateway', ['callPolicies', openForLong], { gateway: 2 });
        await until(async () => {
          await Promise.all(Array.from({ length: 10 }, search));
          return (await readCircuit()) === open;
        }, 15_000);
      } finally {
        await restore();
      }
      await setLive(gateways, 'gateway', ['callPolicies', null], { gateway: 2 });
      await until(async () => (await search()).status === 200 && (await readCircuit()) === closed);
    }, 60_000);
  });
