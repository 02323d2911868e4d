import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { type Answer, type Store } from '../../src/store.ts';
import { matchProblem, pickResult } from './problems.ts';

export const purchase = (store: Store) => {
  describe('a purchase', () => {
    let buyer: { email: string; token: string };
    let productId: string;

    beforeAll(async () => {
      buyer = await store.createMember();
      productId = await store.createProduct(20);
    });

    it('starts from 200 products in 12 categories', async () => {
      const categories = new Map<string, number>();
      let cursor: string | null = '';
      while (cursor !== null) {
        const { body }: Answer = await store.call(
          'GET',
          `/v1/products?limit=100${cursor && `&cursor=${cursor}`}`,
        );
        for (const { category } of body.items) categories.set(category, (categories.get(category) ?? 0) + 1);
        cursor = body.nextCursor;
      }
      categories.delete('tests');
      expect(categories.size).toBe(12);
      expect([...categories.values()].reduce((sum, count) => sum + count, 0)).toBe(200);
    });

    it('is confirmed, paid, taken from stock and mailed, once', async () => {
      const before = await store.readAvailable(productId);
      const { status, body } = await store.buy(buyer.token, store.buildOrder(productId));
      expect({ status, body }).toEqual({
        status: 201,
        body: {
          orderId: expect.any(String),
          status: 'confirmed',
          total: { amount: 12_000, currency: 'KRW' },
        },
      });
      const { orderId } = body;
      const read = await store.call('GET', `/v1/orders/${orderId}`, { token: buyer.token });
      expect(read.body.history.map(({ event }: { event: string }) => event)).toEqual([
        'order-placed',
        'order-confirmed',
      ]);
      await until(async () => (await store.readLedger(buyer.token, orderId)).status === 'captured');
      expect(await store.readLedger(buyer.token, orderId)).toEqual({
        status: 'captured',
        entries: 2,
        sum: 0,
      });
      expect(await store.readAvailable(productId)).toBe(before - 1);
      const mails = await until(async () => {
        const mails = await store.readMailbox(buyer.email);
        return mails.some(({ subject }) => subject === '주문이 확정되었습니다') && mails;
      });
      expect(mails.map(({ subject }) => subject)).toEqual([
        '주문이 확정되었습니다',
        '조각보에 오신 것을 환영합니다',
      ]);
    });

    it('is accepted at once if the client does not wait', async () => {
      const { status, headers, body } = await store.call('POST', '/v1/orders', {
        ...{ token: buyer.token, body: store.buildOrder(productId) },
        headers: { 'idempotency-key': randomUUID() },
      });
      expect([status, body.status, headers.get('location')]).toEqual([
        202,
        'placed',
        `/v1/orders/${body.orderId}`,
      ]);
      await until(async () => (await store.readStatus(buyer.token, body.orderId)) === 'confirmed');
    });

    it.each([
      ['tok_declined', 'card-declined'],
      ['tok_insufficient_funds', 'insufficient-funds'],
    ])('with %s is rejected, and its stock is returned', async (token, rejection) => {
      const before = await store.readAvailable(productId);
      const { body } = await store.buy(buyer.token, store.buildOrder(productId, token));
      expect(body).toMatchObject({ status: 'rejected', rejection });
      await until(async () => (await store.readAvailable(productId)) === before);
      expect(await store.readLedger(buyer.token, body.orderId)).toMatchObject({
        status: 'declined',
        entries: 0,
        sum: 0,
      });
    });

    it.each(['tok_flaky', 'tok_commit_then_drop'])('with %s is paid once', async (token) => {
      const { body } = await store.buy(buyer.token, store.buildOrder(productId, token));
      expect(body.status).toBe('confirmed');
      await until(async () => (await store.readLedger(buyer.token, body.orderId)).status === 'captured');
      expect(await store.readLedger(buyer.token, body.orderId)).toMatchObject({ entries: 2, sum: 0 });
    });

    it('of the tenth buyer of nine pieces is rejected', async () => {
      const nine = await store.createProduct(9);
      const members = await Promise.all(Array.from({ length: 10 }, () => store.createMember()));
      const ends = await Promise.all(members.map(({ token }) => store.buy(token, store.buildOrder(nine))));
      const statuses = ends.map(({ body }) => body.rejection ?? body.status).sort();
      expect(statuses).toEqual([...Array(9).fill('confirmed'), 'out-of-stock']);
      expect(await store.readAvailable(nine)).toBe(0);
    });

    it('that is cancelled is refunded, and its stock is returned', async () => {
      const before = await store.readAvailable(productId);
      const { orderId } = (await store.buy(buyer.token, store.buildOrder(productId))).body;
      const cancel = () => store.call('POST', `/v1/orders/${orderId}/cancellation`, { token: buyer.token });
      expect(pickResult(await cancel())).toMatchObject({ status: 202, body: { orderId } });
      await until(async () => (await store.readStatus(buyer.token, orderId)) === 'refunded');
      await until(async () => (await store.readAvailable(productId)) === before);
      expect(await store.readLedger(buyer.token, orderId)).toEqual({
        status: 'refunded',
        entries: 4,
        sum: 0,
      });
      await until(async () =>
        (await store.readMailbox(buyer.email)).some(({ subject }) => subject === '환불이 완료되었습니다'),
      );
    });

    it('with the same Idempotency-Key is the same purchase, also twenty times at once', async () => {
      const key = randomUUID();
      const body = store.buildOrder(productId);
      const before = await store.readAvailable(productId);
      const place = () =>
        store.call('POST', '/v1/orders', { token: buyer.token, body, headers: { 'idempotency-key': key } });
      const answers = await Promise.all(Array.from({ length: 20 }, place));
      const accepted = answers.filter(({ status }) => status === 202);
      const refused = answers.filter(({ status }) => status !== 202).map(pickResult);
      expect(new Set(accepted.map(({ text }) => text)).size).toBe(1);
      expect(refused).toMatchObject(refused.map(() => matchProblem(409, 'idempotency-key-in-flight')));
      await until(
        async () => (await store.readStatus(buyer.token, accepted[0]!.body.orderId)) === 'confirmed',
      );
      expect((await place()).text).toBe(accepted[0]!.text);
      expect(await store.readAvailable(productId)).toBe(before - 1);
      const other = { ...body, lines: [{ productId, quantity: 2 }] };
      expect(pickResult(await store.buy(buyer.token, other, key))).toMatchObject(
        matchProblem(422, 'idempotency-key-reused'),
      );
    });
  });
};
