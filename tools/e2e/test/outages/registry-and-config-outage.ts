import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stopService, killAndWait } from '../../src/hold-down.ts';
import { until } from '../../src/jogakbo.ts';
import { setLive } from './live-settings.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';
import { ExternalService, listRegistered } from '../../src/outsider.ts';

const purchaseIntervalMs = 250;

interface Purchase {
  during: string;
  orderId: string | undefined;
  /** Final status of the order, or the unexpected response. */
  end: string;
  took: number;
  /** Number of repetitions with the same key after a timeout of a busy machine. */
  repeated: number;
}

const getPercentile = (times: number[], share: number) =>
  Math.round(times.toSorted((a, b) => a - b)[Math.floor(times.length * share)]!);

/** Minutes without them in `npm run test:full`, else long enough for every lease to end. */
const isFull = process.env['TEST_FULL'] === '1';

export const withoutRegistryAndConfig = (gateways: TwoGateways) =>
  describe('registry and config', () => {
    const { store } = gateways;
    const externalService = new ExternalService('hello');
    let buyer: { email: string; token: string };
    let productId: string;
    const pieces = 2_000;

    beforeAll(async () => {
      buyer = await store.createMember();
      productId = await store.createProduct(pieces);
      await externalService.register(store);
      await until(async () => (await store.call('GET', '/v1/hello')).status === 200);
      await setLive(gateways, 'notifications', ['logLevel', 'debug'], { notifications: 1 });
    });
    afterAll(() => externalService.close());

    async function buy(during: string): Promise<Purchase> {
      const beganAt = performance.now();
      const key = randomUUID();
      const send = () => store.buy(buyer.token, store.buildOrder(productId), key);
      let answer = await send();
      let repeated = 0;
      for (; answer.status === 504 && repeated < 5; repeated++) answer = await send();
      const { orderId, status } = answer.body;
      const end = answer.status === 201 ? status : `${answer.status} ${status}`;
      return { during, orderId, end, took: performance.now() - beganAt, repeated };
    }

    it('can be down, one, both and the other, without a failed purchase or external request', async () => {
      let during = 'both up';
      let isDone = false;
      const buying: Promise<Purchase>[] = [];
      const externalStatuses: (number | string)[] = [];
      const purchasing = (async () => {
        while (!isDone) {
          buying.push(buy(during));
          await pause(purchaseIntervalMs);
        }
      })();
      const reading = (async () => {
        while (!isDone) {
          const answer = await store
            .call('GET', '/v1/hello/kim')
            .catch((error: Error) => ({ status: error.message }));
          externalStatuses.push(answer.status);
          await pause(purchaseIntervalMs);
        }
      })();

      try {
        await pause(isFull ? 15_000 : 8_000);
        during = 'no registry';
        const restoreRegistry = await stopService(store, 'registry');
        await pause(isFull ? 15_000 : 8_000);
        during = 'neither';
        const restoreConfig = await stopService(store, 'config');
        await pause(isFull ? 10_000 : 6_000);
        // No request waits for these two: they catch up later.
        await Promise.all([killAndWait(store, 'notifications'), killAndWait(store, 'search')]);
        await pause(isFull ? 50_000 : 15_000);
        await restoreRegistry();
        during = 'no config';
        // The registry has lost its registrations, and clients register again.
        await until(
          async () => (await listRegistered(store)).some(({ service }) => service === 'hello'),
          15_000,
        );
        await pause(isFull ? 15_000 : 8_000);
        await restoreConfig();
        during = 'both back';
        await pause(isFull ? 5_000 : 3_000);
      } finally {
        isDone = true;
        await Promise.all([purchasing, reading]);
      }

      const purchases = await Promise.all(buying);
      expect(purchases.filter(({ end }) => end !== 'confirmed')).toEqual([]);
      expect(externalStatuses.filter((status) => status !== 200)).toEqual([]);
      const repeated = purchases.filter((one) => one.repeated > 0).length;
      expect(repeated).toBeLessThan(purchases.length / 10);
      const times = Map.groupBy(purchases, (one) => one.during);
      const summary = [...times].map(([name, some]) => {
        const took = some.map((one) => one.took);
        return { name, count: some.length, p50: getPercentile(took, 0.5), p95: getPercentile(took, 0.95) };
      });
      console.info(
        summary
          .map(({ name, count, p50, p95 }) => `${name}: ${count} bought, p50 ${p50}, p95 ${p95} ms`)
          .join('\n'),
      );
      const [before, ...others] = summary;
      for (const { name, p50 } of others)
        expect({ name, slow: p50 > 3 * before!.p50 + 200 && p50 }).toEqual({ name, slow: false });

      // Every purchase is paid and taken from stock once.
      expect(new Set(purchases.map(({ orderId }) => orderId)).size).toBe(purchases.length);
      for (const { orderId } of purchases) {
        await until(async () => (await store.readLedger(buyer.token, orderId!)).status === 'captured');
        expect(await store.readLedger(buyer.token, orderId!)).toEqual({
          status: 'captured',
          entries: 2,
          sum: 0,
        });
      }
      expect(await store.readAvailable(productId)).toBe(pieces - purchases.length);
    }, 240_000);

    it('let a service start without the config server, with its last known settings', async () => {
      const log = readFileSync(join(store.home, 'logs', 'notifications.log'), 'utf8');
      const lines = log
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as { level: number; msg: string; instance: string });
      // Logged at debug only, a level that was set at the config server only.
      const [without] = lines.filter(({ msg }) => msg.startsWith('no settings from the config server'));
      expect(without).toMatchObject({ level: 20, instance: lines.at(-1)!.instance });
      const { body } = await store.call('GET', '/v1/ops/config/notifications/in-force', {
        token: store.getToken('operator'),
      });
      expect(body.instances).toHaveLength(1);
      expect(body.instances[0].settings).toContainEqual(
        expect.objectContaining({ key: 'logLevel', value: 'debug', origin: 'config server' }),
      );
    });
  });
