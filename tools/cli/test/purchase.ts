import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from './jogakbo.ts';
import { type Answer, type Store } from './store.ts';

const problemWith = (status: number, code: string, path?: string) => ({
  status,
  body: {
    ...{
      status,
      code,
      type: `/problems/${code}`,
      title: expect.any(String),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    },
    ...(path && { errors: expect.arrayContaining([{ path, message: expect.any(String) }]) }),
  },
});
const said = ({ status, body }: Answer) => ({ status, body });

export const purchase = (store: Store) => {
  describe('a purchase', () => {
    let buyer: { email: string; token: string };
    let productId: string;

    beforeAll(async () => {
      buyer = await store.member();
      productId = await store.product(20);
    });

    it('finds a store of 200 products in 12 categories', async () => {
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

    it('is confirmed, paid, packed from stock and mailed, once', async () => {
      const before = await store.available(productId);
      const { status, body } = await store.buy(buyer.token, store.order(productId));
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
      await until(async () => (await store.ledger(buyer.token, orderId)).status === 'captured');
      expect(await store.ledger(buyer.token, orderId)).toEqual({ status: 'captured', entries: 2, sum: 0 });
      expect(await store.available(productId)).toBe(before - 1);
      const mails = await until(async () => {
        const mails = await store.mailbox(buyer.email);
        return mails.some(({ subject }) => subject === '주문이 확정되었습니다') && mails;
      });
      expect(mails.map(({ subject }) => subject)).toEqual([
        '주문이 확정되었습니다',
        '조각보에 오신 것을 환영합니다',
      ]);
    });

    it('answers at once where nobody waits', async () => {
      const { status, headers, body } = await store.call('POST', '/v1/orders', {
        ...{ token: buyer.token, body: store.order(productId) },
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
    ])('with %s is rejected, and its stock goes back', async (token, rejection) => {
      const before = await store.available(productId);
      const { body } = await store.buy(buyer.token, store.order(productId, token));
      expect(body).toMatchObject({ status: 'rejected', rejection });
      await until(async () => (await store.available(productId)) === before);
      expect(await store.ledger(buyer.token, body.orderId)).toMatchObject({
        status: 'declined',
        entries: 0,
        sum: 0,
      });
    });

    it.each(['tok_flaky', 'tok_commit_then_drop'])('with %s is paid once', async (token) => {
      const { body } = await store.buy(buyer.token, store.order(productId, token));
      expect(body.status).toBe('confirmed');
      await until(async () => (await store.ledger(buyer.token, body.orderId)).status === 'captured');
      expect(await store.ledger(buyer.token, body.orderId)).toMatchObject({ entries: 2, sum: 0 });
    });

    it('of the tenth buyer of nine pieces is rejected', async () => {
      const nine = await store.product(9);
      const members = await Promise.all(Array.from({ length: 10 }, () => store.member()));
      const ends = await Promise.all(members.map(({ token }) => store.buy(token, store.order(nine))));
      const statuses = ends.map(({ body }) => body.rejection ?? body.status).sort();
      expect(statuses).toEqual([...Array(9).fill('confirmed'), 'out-of-stock']);
      expect(await store.available(nine)).toBe(0);
    });

    it('that is cancelled is refunded, and its stock goes back', async () => {
      const before = await store.available(productId);
      const { orderId } = (await store.buy(buyer.token, store.order(productId))).body;
      const cancel = () => store.call('POST', `/v1/orders/${orderId}/cancellation`, { token: buyer.token });
      expect(said(await cancel())).toMatchObject({ status: 202, body: { orderId } });
      await until(async () => (await store.readStatus(buyer.token, orderId)) === 'refunded');
      await until(async () => (await store.available(productId)) === before);
      expect(await store.ledger(buyer.token, orderId)).toEqual({ status: 'refunded', entries: 4, sum: 0 });
      await until(async () =>
        (await store.mailbox(buyer.email)).some(({ subject }) => subject === '환불이 완료되었습니다'),
      );
    });

    it('with the same Idempotency-Key is the same purchase, also twenty times at once', async () => {
      const key = randomUUID();
      const body = store.order(productId);
      const before = await store.available(productId);
      const place = () =>
        store.call('POST', '/v1/orders', { token: buyer.token, body, headers: { 'idempotency-key': key } });
      const answers = await Promise.all(Array.from({ length: 20 }, place));
      const accepted = answers.filter(({ status }) => status === 202);
      const refused = answers.filter(({ status }) => status !== 202).map(said);
      expect(new Set(accepted.map(({ text }) => text)).size).toBe(1);
      expect(refused).toMatchObject(refused.map(() => problemWith(409, 'idempotency-key-in-flight')));
      await until(
        async () => (await store.readStatus(buyer.token, accepted[0]!.body.orderId)) === 'confirmed',
      );
      expect((await place()).text).toBe(accepted[0]!.text);
      expect(await store.available(productId)).toBe(before - 1);
      const other = { ...body, lines: [{ productId, quantity: 2 }] };
      expect(said(await store.buy(buyer.token, other, key))).toMatchObject(
        problemWith(422, 'idempotency-key-reused'),
      );
    });
  });

  describe('a purchase that cannot be', () => {
    let buyer: { email: string; token: string };
    let productId: string;
    const foreign =
      'eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vbmUifQ.eyJzdWIiOiIwMTk2YzFhMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAifQ.c2lnbmF0dXJl';

    beforeAll(async () => {
      buyer = await store.member();
      productId = await store.product(5);
    });

    const body = (changes: object = {}) => ({ ...store.order(productId), ...changes });
    const lines = (quantity: unknown) => body({ lines: [{ productId, quantity }] });
    const key = { 'idempotency-key': 'a-key' };

    it.each<
      [
        string,
        () => { body?: unknown; token?: string; headers?: Record<string, string> },
        number,
        string,
        string?,
      ]
    >([
      ['an unknown field', () => ({ body: body({ discount: 99 }) }), 400, 'invalid', 'discount'],
      [
        'an unknown field inside',
        () => ({ body: body({ payment: { token: 'tok_ok', cvc: 1 } }) }),
        400,
        'invalid',
        'payment.cvc',
      ],
      ['a wrong type', () => ({ body: lines('one') }), 400, 'invalid', 'lines.0.quantity'],
      ['a quantity of zero', () => ({ body: lines(0) }), 400, 'invalid', 'lines.0.quantity'],
      ['a negative quantity', () => ({ body: lines(-1) }), 400, 'invalid', 'lines.0.quantity'],
      ['a piece of a piece', () => ({ body: lines(0.5) }), 400, 'invalid', 'lines.0.quantity'],
      [
        'too many pieces in several lines',
        () => ({ body: body({ lines: Array(3).fill({ productId, quantity: 400 }) }) }),
        400,
        'invalid',
        'lines.2.quantity',
      ],
      [
        'a higher price than the member was shown',
        () => ({ body: body({ expectedTotal: { amount: 11_999, currency: 'KRW' } }) }),
        409,
        'price-changed',
        'expectedTotal',
      ],
      ['no lines', () => ({ body: body({ lines: [] }) }), 400, 'invalid', 'lines'],
      [
        'no product id',
        () => ({ body: body({ lines: [{ productId: '1', quantity: 1 }] }) }),
        400,
        'invalid',
        'lines.0.productId',
      ],
      ['a missing address', () => ({ body: body({ shipTo: undefined }) }), 400, 'invalid', 'shipTo'],
      ['broken JSON', () => ({ body: '{"lines":[' }), 400, 'invalid-json'],
      ['a huge body', () => ({ body: body({ note: 'x'.repeat(3_000_000) }) }), 413, 'payload-too-large'],
      [
        'another media type',
        () => ({ body: body(), headers: { 'content-type': 'text/plain' } }),
        415,
        'unsupported-media-type',
      ],
      ['no token', () => ({ body: body(), token: '' }), 401, 'unauthenticated'],
      ['a foreign token', () => ({ body: body(), token: foreign }), 401, 'unauthenticated'],
      [
        'an unknown product',
        () => ({ body: body({ lines: [{ productId: randomUUID(), quantity: 1 }] }) }),
        422,
        'unknown-product',
        'lines.0.productId',
      ],
      [
        'an unknown payment token',
        () => ({ body: body({ payment: { token: 'tok_mine' } }) }),
        422,
        'unknown-payment-token',
        'payment.token',
      ],
      [
        'no payment for what is not free',
        () => ({ body: body({ payment: undefined }) }),
        422,
        'payment-required',
        'payment',
      ],
      [
        'no Idempotency-Key',
        () => ({ body: body(), headers: { 'idempotency-key': '' } }),
        400,
        'invalid',
        'Idempotency-Key',
      ],
    ])('because of %s says so', async (_, request, status, code, path = '') => {
      const { headers, ...rest } = request();
      const answer = await store.call('POST', '/v1/orders', {
        token: buyer.token,
        ...rest,
        headers: { ...key, ...headers },
      });
      expect(said(answer)).toMatchObject(problemWith(status, code, path));
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    });

    it('is told the new total where the price rose', async () => {
      const expectedTotal = { amount: 1, currency: 'KRW' };
      const { status, body: problem } = await store.buy(buyer.token, body({ expectedTotal }));
      expect({ status, total: problem.total }).toEqual({
        status: 409,
        total: { amount: 12_000, currency: 'KRW' },
      });
    });

    it('of stock: a receipt without Idempotency-Key books nothing', async () => {
      const receipt = { token: store.staff('merchant'), body: { quantity: 7 } };
      const path = `/v1/stock/${productId}/receipts`;
      expect(said(await store.call('POST', path, receipt))).toMatchObject(
        problemWith(400, 'idempotency-key-missing'),
      );
      expect(await store.available(productId)).toBe(5);
    });

    it('beyond the stock is rejected', async () => {
      const { body } = await store.buy(buyer.token, store.order(productId, 'tok_ok', 6));
      expect(body).toMatchObject({ status: 'rejected', rejection: 'out-of-stock' });
    });

    it('reserves, charges and mails nothing', async () => {
      const { body } = await store.call('GET', '/v1/orders', { token: buyer.token });
      expect(body.items).toMatchObject([{ status: 'rejected' }]); // the one beyond the stock
      const path = `/v1/orders/${body.items[0].orderId}/payments`;
      expect(said(await store.call('GET', path, { token: buyer.token }))).toEqual({
        status: 200,
        body: { items: [], nextCursor: null },
      });
      expect(await store.available(productId)).toBe(5);
      const subjects = (await store.mailbox(buyer.email)).map(({ subject }) => subject);
      expect(subjects.filter((subject) => subject.includes('확정'))).toEqual([]);
    });

    it('shows nobody the order of somebody else', async () => {
      const { orderId } = (await store.buy(buyer.token, body())).body;
      const { token } = await store.member();
      for (const path of ['', '/payments'])
        expect(said(await store.call('GET', `/v1/orders/${orderId}${path}`, { token }))).toMatchObject(
          problemWith(404, 'not-found'),
        );
      expect(said(await store.call('POST', `/v1/orders/${orderId}/cancellation`, { token }))).toMatchObject(
        problemWith(404, 'not-found'),
      );
      expect(await store.readStatus(buyer.token, orderId)).toBe('confirmed');
    });
  });
};
