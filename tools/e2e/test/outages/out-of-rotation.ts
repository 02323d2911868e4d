import { describe, expect, it } from '@jest/globals';
import { stopService, startInstance } from '../../src/hold-down.ts';
import { until } from '../../src/jogakbo.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';
import { listRegistered } from '../../src/outsider.ts';

/** Three heartbeats of two seconds, and some tolerance. */
const detectionLimitMs = 6_500;

export const outOfRotation = (gateways: TwoGateways) =>
  describe('an instance', () => {
    const { store } = gateways;
    const areGatewaysUnready = async () => {
      const answers = await Promise.all([
        store.call('GET', '/health/ready'),
        store.call('GET', '/health/ready', { url: gateways.second.url }),
      ]);
      return answers.every(({ status }) => status === 503);
    };
    const isUnregistered = async (service: string) =>
      (await listRegistered(store)).every((one) => one.service !== service);

    /** Milliseconds until the gateways, which need the service for orders, and the registry have removed it. */
    async function measureRemoval(service: string): Promise<[gateways: number, registry: number]> {
      const beganAt = performance.now();
      const getElapsed = () => Math.round(performance.now() - beganAt);
      return Promise.all([
        until(areGatewaysUnready).then(getElapsed),
        until(() => isUnregistered(service)).then(getElapsed),
      ]);
    }
    it('that is killed is out of rotation within six seconds, at the gateways and at the registry', async () => {
      const [restore, times] = await Promise.all([stopService(store, 'orders'), measureRemoval('orders')]);
      await restore();
      await until(() => gateways.areReady());
      console.info(`killed: gone at the gateways after ${times[0]} ms, at the registry after ${times[1]} ms`);
      expect(Math.max(...times)).toBeLessThan(detectionLimitMs);
    }, 60_000);

    it('that drains is out of rotation at once', async () => {
      const [restore, times] = await Promise.all([
        stopService(store, 'orders', 'SIGTERM'),
        measureRemoval('orders'),
      ]);
      await restore();
      await until(() => gateways.areReady());
      console.info(
        `drained: gone at the gateways after ${times[0]} ms, at the registry after ${times[1]} ms`,
      );
      // Less than the detection by missed heartbeats.
      expect(Math.max(...times)).toBeLessThan(3_000);
    }, 60_000);

    it('that is killed beside another one causes no failed request', async () => {
      const other = await startInstance(store, 'catalog');
      try {
        const readStatus = async () =>
          (await store.call('GET', '/v1/products?limit=1', { headers: { 'cache-control': 'no-cache' } }))
            .status;
        await until(
          async () => (await listRegistered(store)).filter((one) => one.service === 'catalog').length === 2,
        );
        process.kill(other.pid, 'SIGKILL');
        const answers: number[] = [];
        await until(async () => {
          answers.push(await readStatus());
          return (await listRegistered(store)).filter((one) => one.service === 'catalog').length === 1;
        });
        // The gateway repeats unanswered reads at the other instance.
        expect(answers.filter((status) => status !== 200)).toEqual([]);
      } finally {
        await other.end();
      }
    }, 60_000);
  });
