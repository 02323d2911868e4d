import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { holdDown, killOnce } from './hold-down.ts';
import { until } from './jogakbo.ts';
import { setLive } from './live-settings.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';
import { Outsider, registered } from './outsider.ts';

/** Between two purchases, in milliseconds. */
const pace = 250;

interface Purchase {
  during: string;
  orderId: string | undefined;
  /** How it ended, or what was answered instead. */
  end: string;
  took: number;
  /** Times that a busy machine did not answer in time, and the client asked again with the same key. */
  repeated: number;
}

const percentile = (times: number[], share: number) =>
  Math.round(times.toSorted((a, b) => a - b)[Math.floor(times.length * share)]!);

export const missedByNobody = (gateways: TwoGateways) =>
  describe('registry and config', () => {
    const { store } = gateways;
    const outsider = new Outsider('hello');
    let buyer: { email: string; token: string };
    let productId: string;
    const pieces = 2_000;

    beforeAll(async () => {
      buyer = await store.member();
      productId = await store.product(pieces);
      await outsider.join(store);
      await until(async () => (await store.call('GET', '/v1/hello')).status === 200);
      await setLive(gateways, 'notifications', ['logLevel', 'debug'], { notifications: 1 });
    });
    afterAll(() => outsider.close());

    async function buy(during: string): Promise<Purchase> {
      const beganAt = performance.now();
      const key = randomUUID();
      const ask = () => store.buy(buyer.token, store.order(productId), key);
      let answer = await ask();
      let repeated = 0;
      for (; answer.status === 504 && repeated < 5; repeated++) answer = await ask();
      const { orderId, status } = answer.body;
      const end = answer.status === 201 ? status : `${answer.status} ${status}`;
      return { during, orderId, end, took: performance.now() - beganAt, repeated };
    }

    it('killed for a minute, one, both and the other, are missed by no purchase and by nobody outside', async () => {
      let during = 'both there';
      let isOver = false;
      const buying: Promise<Purchase>[] = [];
      const outside: (number | string)[] = [];
      const shop = (async () => {
        while (!isOver) {
          buying.push(buy(during));
          await pause(pace);
        }
      })();
      const visit = (async () => {
        while (!isOver) {
          const answer = await store
            .call('GET', '/v1/hello/kim')
            .catch((error: Error) => ({ status: error.message }));
          outside.push(answer.status);
          await pause(pace);
        }
      })();

      try {
        await pause(15_000);
        during = 'no registry';
        const registryBack = await holdDown(store, 'registry');
        await pause(15_000);
        during = 'neither';
        const configBack = await holdDown(store, 'config');
        await pause(10_000);
        // Nobody waits for these two: what they do they do later.
        await Promise.all([killOnce(store, 'notifications'), killOnce(store, 'search')]);
        await pause(50_000);
        await registryBack();
        during = 'no config';
        // It has forgotten its clients, and they come again.
        await until(async () => (await registered(store)).some(({ service }) => service === 'hello'), 15_000);
        await pause(15_000);
        await configBack();
        during = 'both back';
        await pause(5_000);
      } finally {
        isOver = true;
        await Promise.all([shop, visit]);
      }

      const purchases = await Promise.all(buying);
      expect(purchases.filter(({ end }) => end !== 'confirmed')).toEqual([]);
      expect(outside.filter((status) => status !== 200)).toEqual([]);
      const repeated = purchases.filter((one) => one.repeated > 0).length;
      expect(repeated).toBeLessThan(purchases.length / 10);
      const times = Map.groupBy(purchases, (one) => one.during);
      const summary = [...times].map(([name, some]) => {
        const took = some.map((one) => one.took);
        return { name, count: some.length, p50: percentile(took, 0.5), p95: percentile(took, 0.95) };
      });
      console.info(
        summary
          .map(({ name, count, p50, p95 }) => `${name}: ${count} bought, p50 ${p50}, p95 ${p95} ms`)
          .join('\n'),
      );
      const [before, ...others] = summary;
      for (const { name, p50 } of others)
        expect({ name, slow: p50 > 3 * before!.p50 + 200 && p50 }).toEqual({ name, slow: false });

      // All that was sold is paid and gone, once.
      expect(new Set(purchases.map(({ orderId }) => orderId)).size).toBe(purchases.length);
      for (const { orderId } of purchases) {
        await until(async () => (await store.ledger(buyer.token, orderId!)).status === 'captured');
        expect(await store.ledger(buyer.token, orderId!)).toEqual({ status: 'captured', entries: 2, sum: 0 });
      }
      expect(await store.available(productId)).toBe(pieces - purchases.length);
    }, 240_000);

    it('a service that started meanwhile began with what was set before', async () => {
      const log = readFileSync(join(store.home, 'logs', 'notifications.log'), 'utf8');
      const lines = log
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { level: number; msg: string; instance: string });
      // It says so at the level debug alone, which only the config server had set.
      const [without] = lines.filter(({ msg }) => msg.startsWith('the config server gives nothing'));
      expect(without).toMatchObject({ level: 20, instance: lines.at(-1)!.instance });
      const { body } = await store.call('GET', '/v1/ops/config/notifications/in-force', {
        token: store.staff('operator'),
      });
      expect(body.instances).toHaveLength(1);
      expect(body.instances[0].settings).toContainEqual(
        expect.objectContaining({ key: 'logLevel', value: 'debug', origin: 'config server' }),
      );
    });
  });
