import { describe, expect, it } from '@jest/globals';
import { holdDown, startAnother } from './hold-down.ts';
import { until } from './jogakbo.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';
import { registered } from './outsider.ts';

/** Three beats of two seconds, and a moment in which it is seen. */
const threeBeats = 6_500;

export const outOfRotation = (gateways: TwoGateways) =>
  describe('an instance', () => {
    const { store } = gateways;
    const atGateways = async () => {
      const answers = await Promise.all([
        store.call('GET', '/health/ready'),
        store.call('GET', '/health/ready', { url: gateways.second.url }),
      ]);
      return answers.every(({ status }) => status === 503);
    };
    const atRegistry = async (service: string) =>
      (await registered(store)).every((one) => one.service !== service);

    /** Milliseconds until the gateways, which cannot serve an order without it, and the registry know that it is gone. */
    async function timesUntilGone(service: string): Promise<[gateways: number, registry: number]> {
      const beganAt = performance.now();
      const since = () => Math.round(performance.now() - beganAt);
      return Promise.all([until(atGateways).then(since), until(() => atRegistry(service)).then(since)]);
    }
    it('that is killed is out of rotation within six seconds, at the gateways and at the registry', async () => {
      const [comeBack, times] = await Promise.all([holdDown(store, 'orders'), timesUntilGone('orders')]);
      await comeBack();
      await until(() => gateways.areReady());
      console.info(`killed: gone at the gateways after ${times[0]} ms, at the registry after ${times[1]} ms`);
      expect(Math.max(...times)).toBeLessThan(threeBeats);
    }, 60_000);

    it('that drains leaves at once', async () => {
      const [comeBack, times] = await Promise.all([
        holdDown(store, 'orders', 'SIGTERM'),
        timesUntilGone('orders'),
      ]);
      await comeBack();
      await until(() => gateways.areReady());
      console.info(
        `drained: gone at the gateways after ${times[0]} ms, at the registry after ${times[1]} ms`,
      );
      // Sooner than anybody could have counted its beats.
      expect(Math.max(...times)).toBeLessThan(3_000);
    }, 60_000);

    it('beside another one is not missed when it is killed', async () => {
      const other = await startAnother(store, 'catalog');
      try {
        const ask = async () =>
          (await store.call('GET', '/v1/products?limit=1', { headers: { 'cache-control': 'no-cache' } }))
            .status;
        await until(
          async () => (await registered(store)).filter((one) => one.service === 'catalog').length === 2,
        );
        process.kill(other.pid, 'SIGKILL');
        const answers: number[] = [];
        await until(async () => {
          answers.push(await ask());
          return (await registered(store)).filter((one) => one.service === 'catalog').length === 1;
        });
        // What it had taken and not answered is asked once more, and is a read.
        expect(answers.filter((status) => status !== 200)).toEqual([]);
      } finally {
        await other.end();
      }
    }, 60_000);
  });
