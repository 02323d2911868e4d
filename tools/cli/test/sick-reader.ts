import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { holdDown } from './hold-down.ts';
import { until } from './jogakbo.ts';
import { setLive } from './live-settings.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';

const closed = 0;
const open = 2;

export const sickReader = (gateways: TwoGateways) =>
  describe('while search is killed', () => {
    const { store } = gateways;
    let buyer: { email: string; token: string };
    let productId: string;
    beforeAll(async () => {
      buyer = await store.member();
      productId = await store.product(10);
    });

    /** One that no cache can answer. */
    const search = () =>
      store.call('GET', `/v1/search?q=${randomUUID().slice(0, 8)}`, {
        headers: { 'cache-control': 'no-cache' },
      });

    /** How the gateway gets on with search; undefined before it was asked. */
    async function circuit(): Promise<number | undefined> {
      const { text } = await store.call('GET', '/metrics');
      const line = text.split('\n').find((one) => /^calls_circuit\{.*callee="search"/.test(one));
      return line ? Number(line.split(' ').at(-1)) : undefined;
    }

    it('the breaker opens and closes, visible on /metrics, and all else works', async () => {
      expect((await search()).status).toBe(200);
      expect(await circuit()).toBe(closed);
      const comeBack = await holdDown(store, 'search');
      const slow: number[] = [];
      const statuses = new Set<number>();
      try {
        await until(async () => {
          await Promise.all(Array.from({ length: 10 }, search));
          return (await circuit()) === open;
        }, 15_000);
        const { token } = buyer;
        const before = await store.available(productId);
        expect(await store.buy(token, store.order(productId))).toMatchObject({
          status: 201,
          body: { status: 'confirmed' },
        });
        expect(await store.available(productId)).toBe(before - 1);
        for (const path of [`/v1/products/${productId}`, '/v1/products', '/v1/orders', '/v1/members/me'])
          expect([path, (await store.call('GET', path, { token })).status]).toEqual([path, 200]);
        for (let n = 0; n < 20; n++) {
          const askedAt = performance.now();
          statuses.add((await search()).status);
          slow.push(Math.round(performance.now() - askedAt));
        }
        expect(await circuit()).toBe(open);
      } finally {
        await comeBack();
      }
      // Refused, or answered by somebody else; nobody waits for one who does not answer.
      expect([...statuses].filter((status) => ![200, 503].includes(status))).toEqual([]);
      console.info(`search away: answered with ${[...statuses]} after ${Math.max(...slow)} ms at most`);
      await until(async () => (await search()).status === 200 && (await circuit()) === closed);
    }, 60_000);

    it('a changed policy lets it begin anew', async () => {
      const comeBack = await holdDown(store, 'search');
      try {
        const openForLong = JSON.stringify({ search: { openFor: 600_000 } });
        await setLive(gateways, 'gateway', ['callPolicies', openForLong], { gateway: 2 });
        await until(async () => {
          await Promise.all(Array.from({ length: 10 }, search));
          return (await circuit()) === open;
        }, 15_000);
      } finally {
        await comeBack();
      }
      await setLive(gateways, 'gateway', ['callPolicies', null], { gateway: 2 });
      await until(async () => (await search()).status === 200 && (await circuit()) === closed);
    }, 60_000);
  });
