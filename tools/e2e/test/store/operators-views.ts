import { describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

export const operatorsViews = (store: Store) =>
  describe('an operator', () => {
    it('sees the log of one request over all services by its trace id', async () => {
      const { traceId: trace } = await store.buyInTrace();
      const lines = await until(async () => {
        const { output } = await store.run(['logs', '--trace', trace.slice(0, 12), '--json']);
        return output.includes('notifications.send-mail ok') && output.trim().split('\n');
      });
      const entries = lines.map((line) => JSON.parse(line) as { service: string; traceId: string });
      expect(new Set(entries.map(({ traceId }) => traceId))).toEqual(new Set([trace]));
      const services = ['gateway', 'inventory', 'notifications', 'orders', 'payments'];
      expect(entries.map(({ service }) => service)).toEqual(expect.arrayContaining(services));
      expect((await store.run(['logs', '--trace', 'f'.repeat(32)])).code).toBe(1);
      expect((await store.run(['logs', '--trace', 'xyz'])).code).toBe(2);
    });

    describe('read models', () => {
      it('are listed, and rebuilt while members buy', async () => {
        const buyer = await store.createMember();
        const productId = await store.createProduct(50);
        const buy = () => store.buy(buyer.token, store.buildOrder(productId));
        const listOrders = async () => {
          const { body } = await store.call('GET', '/v1/orders?limit=100', { token: buyer.token });
          return body.items.map(({ orderId, status }: Record<string, string>) => `${orderId} ${status}`);
        };
        const bought: string[] = [];
        for (let i = 0; i < 5; i++) bought.unshift(`${(await buy()).body.orderId} confirmed`);
        const rebuilding = store.run(['projection', 'rebuild', 'orders', 'order_list']);
        for (let i = 0; i < 5; i++) {
          bought.unshift(`${(await buy()).body.orderId} confirmed`);
          expect(await listOrders()).toEqual(bought);
        }
        const { code, output } = await rebuilding;
        expect(output).toMatch(/order_list of orders was built again in/);
        expect(code).toBe(0);
        expect(await listOrders()).toEqual(bought);
        const { output: table } = await store.run(['projection', 'list', 'orders']);
        expect(table).toMatch(/orders +order_list +2 /);
        const unknown = await store.run(['projection', 'rebuild', 'orders', 'nothing']);
        expect(unknown).toMatchObject({
          code: 2,
          output: expect.stringContaining('no projection called nothing'),
        });
      });
    });
  });
