import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from './jogakbo.ts';
import { type Answer, type Store } from './store.ts';

/** One read of each service, past all caches. */
const reads: Record<string, string> = {
  catalog: '/v1/products?limit=1',
  identity: '/v1/members/me',
  inventory: '/v1/stock/',
  orders: '/v1/orders',
  search: '/v1/search?q=teacup',
};
const services = [...Object.keys(reads), 'gateway', 'payments', 'notifications', 'registry', 'config'];
const purchases = 12;
const ends = ['order-confirmed', 'order-rejected', 'order-cancelled'];

export const killedService = (store: Store) =>
  describe('kill -9 during purchases', () => {
    let buyer: { email: string; token: string };
    let productId: string;
    const pieces = 1_000;

    beforeAll(async () => {
      buyer = await store.member();
      productId = await store.product(pieces);
    });

    /** Asks again with the same key until the store has taken the order, as any careful client does. */
    async function place(key: string): Promise<string> {
      const body = store.order(productId);
      const headers = { 'idempotency-key': key };
      const { body: order } = await until(async () => {
        const answer = await store
          .call('POST', '/v1/orders', { token: buyer.token, body, headers })
          .catch(() => undefined);
        return answer?.status === 202 && (answer as Answer);
      }, 60_000);
      return order.orderId;
    }

    /** Reads of the services that live, one after the other, until `over`. Gives what was not answered as it should. */
    async function readOn(killed: string, over: Promise<unknown>): Promise<string[]> {
      const paths = Object.entries(reads).filter(([service]) => service !== killed && killed !== 'gateway');
      const wrong: string[] = [];
      let isOver = false;
      void over.then(() => (isOver = true));
      while (!isOver) {
        for (const [service, path] of paths) {
          const answer = await store
            .call('GET', service === 'inventory' ? path + productId : path, { token: buyer.token })
            .catch((error: Error) => ({ status: error.message }));
          if (answer.status !== 200) wrong.push(`${service}: ${answer.status}`);
        }
        await pause(20);
      }
      return wrong;
    }

    it.each(services)(
      'of %s ends every purchase exactly once',
      async (service) => {
        const before = await store.available(productId);
        const { pid } = store.findRecord(service)!.process!;
        const keys = Array.from({ length: purchases }, () => randomUUID());
        // Spread over the time around the kill, so that it meets the purchase at many steps.
        const placing = Promise.all(keys.map(async (key, i) => pause(i * 15).then(() => place(key))));
        const reading = readOn(service, placing);
        await pause(90);
        process.kill(pid, 'SIGKILL');
        const orderIds = await placing;
        expect(await reading).toEqual([]);
        expect(new Set(orderIds).size).toBe(keys.length);
        await until(() => {
          const record = store.findRecord(service);
          return record?.state === 'ready' && record.process?.pid !== pid;
        });

        // The same keys name the same orders, also after the death of whoever remembered them.
        expect(await Promise.all(keys.map(place))).toEqual(orderIds);
        for (const orderId of orderIds) {
          await until(async () => (await store.ledger(buyer.token, orderId)).status === 'captured', 60_000);
          expect(await store.ledger(buyer.token, orderId)).toEqual({
            status: 'captured',
            entries: 2,
            sum: 0,
          });
          const { body } = await store.call('GET', `/v1/orders/${orderId}`, { token: buyer.token });
          const history = body.history.map(({ event }: { event: string }) => event);
          expect(history.filter((event: string) => ends.includes(event))).toEqual(['order-confirmed']);
        }
        expect(await store.available(productId)).toBe(before - keys.length);
      },
      120_000,
    );

    it('sent one mail for each order', async () => {
      const confirmations = () =>
        store
          .mailbox(buyer.email)
          .then((mails) => mails.filter(({ subject }) => subject === '주문이 확정되었습니다'));
      await until(async () => (await confirmations()).length >= services.length * purchases);
      const ids = (await confirmations()).map(({ messageId }) => messageId);
      expect(new Set(ids).size).toBe(services.length * purchases);
    });
  });
