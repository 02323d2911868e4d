import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { type Store } from '../../src/store.ts';

/** One uncached read of each service. */
const reads: Record<string, string> = {
  catalog: '/v1/products?limit=1',
  identity: '/v1/members/me',
  inventory: '/v1/stock/',
  orders: '/v1/orders',
  search: '/v1/search?q=teacup',
};
/** Without TEST_FULL only the one with the saga of a purchase. Chaos kills the others. */
const services = process.env['TEST_FULL']
  ? [...Object.keys(reads), 'gateway', 'payments', 'notifications', 'registry', 'config']
  : ['orders'];
const purchases = 12;
const ends = ['order-confirmed', 'order-rejected', 'order-cancelled'];

export const killedService = (store: Store) =>
  describe('kill -9 during purchases', () => {
    let buyer: { email: string; token: string };
    let productId: string;
    const pieces = 1_000;

    beforeAll(async () => {
      buyer = await store.createMember();
      productId = await store.createProduct(pieces);
    });

    /** Repeats the request with the same key, once a second, until the store has accepted the order. */
    async function place(key: string): Promise<string> {
      const body = store.buildOrder(productId);
      const headers = { 'idempotency-key': key };
      const answers: string[] = [];
      // More often, all purchases together would reach the limit of 300 per minute and member while the service starts.
      for (const end = Date.now() + 60_000; Date.now() < end; await pause(1_000)) {
        const answer = await store
          .call('POST', '/v1/orders', { token: buyer.token, body, headers })
          .catch((error: Error) => error);
        if ('status' in answer && answer.status === 202) return answer.body.orderId;
        answers.push('status' in answer ? `${answer.status} ${answer.body?.code}` : answer.message);
      }
      throw new Error(`no order for ${key}: ${answers.join(', ')}`);
    }

    /** Reads from the other services until `done`. @returns the failed reads */
    async function readOthers(killed: string, done: Promise<unknown>): Promise<string[]> {
      const paths = Object.entries(reads).filter(([service]) => service !== killed && killed !== 'gateway');
      const wrong: string[] = [];
      let isDone = false;
      void done.then(() => (isDone = true));
      while (!isDone) {
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
      'of %s completes every purchase exactly once',
      async (service) => {
        const before = await store.readAvailable(productId);
        const { pid } = store.findRecord(service)!.process!;
        const keys = Array.from({ length: purchases }, () => randomUUID());
        // Spread around the time of the kill, so that the kill hits different steps of the purchases.
        const placing = Promise.all(keys.map(async (key, i) => pause(i * 15).then(() => place(key))));
        const reading = readOthers(service, placing);
        await pause(90);
        process.kill(pid, 'SIGKILL');
        const orderIds = await placing;
        expect(await reading).toEqual([]);
        expect(new Set(orderIds).size).toBe(keys.length);
        await until(() => {
          const record = store.findRecord(service);
          return record?.state === 'ready' && record.process?.pid !== pid;
        });

        // The same keys return the same orders, also after the kill of the service that stored them.
        expect(await Promise.all(keys.map(place))).toEqual(orderIds);
        for (const orderId of orderIds) {
          await until(
            async () => (await store.readLedger(buyer.token, orderId)).status === 'captured',
            60_000,
          );
          expect(await store.readLedger(buyer.token, orderId)).toEqual({
            status: 'captured',
            entries: 2,
            sum: 0,
          });
          const { body } = await store.call('GET', `/v1/orders/${orderId}`, { token: buyer.token });
          const history = body.history.map(({ event }: { event: string }) => event);
          expect(history.filter((event: string) => ends.includes(event))).toEqual(['order-confirmed']);
        }
        expect(await store.readAvailable(productId)).toBe(before - keys.length);
      },
      120_000,
    );

    it('sends one mail for each order', async () => {
      const confirmations = () =>
        store
          .readMailbox(buyer.email)
          .then((mails) => mails.filter(({ subject }) => subject === '주문이 확정되었습니다'));
      await until(async () => (await confirmations()).length >= services.length * purchases);
      const ids = (await confirmations()).map(({ messageId }) => messageId);
      expect(new Set(ids).size).toBe(services.length * purchases);
    });
  });
