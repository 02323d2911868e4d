import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Store } from '../../src/store.ts';
import { matchProblem, pickResult } from './problems.ts';

export const invalidPurchase = (store: Store) =>
  describe('an invalid purchase', () => {
    let buyer: { email: string; token: string };
    let productId: string;
    const foreignToken =
      'eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vbmUifQ.eyJzdWIiOiIwMTk2YzFhMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAifQ.c2lnbmF0dXJl';

    beforeAll(async () => {
      buyer = await store.createMember();
      productId = await store.createProduct(5);
    });

    const body = (changes: object = {}) => ({ ...store.buildOrder(productId), ...changes });
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
        'an unknown nested field',
        () => ({ body: body({ payment: { token: 'tok_ok', cvc: 1 } }) }),
        400,
        'invalid',
        'payment.cvc',
      ],
      ['a wrong type', () => ({ body: lines('one') }), 400, 'invalid', 'lines.0.quantity'],
      ['a quantity of zero', () => ({ body: lines(0) }), 400, 'invalid', 'lines.0.quantity'],
      ['a negative quantity', () => ({ body: lines(-1) }), 400, 'invalid', 'lines.0.quantity'],
      ['a fractional quantity', () => ({ body: lines(0.5) }), 400, 'invalid', 'lines.0.quantity'],
      [
        'too high a quantity over several lines',
        () => ({ body: body({ lines: Array(3).fill({ productId, quantity: 400 }) }) }),
        400,
        'invalid',
        'lines.2.quantity',
      ],
      [
        'a higher price than the expected total',
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
      ['a foreign token', () => ({ body: body(), token: foreignToken }), 401, 'unauthenticated'],
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
        'no payment for a product that is not free',
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
    ])('with %s is rejected with its reason', async (_, request, status, code, path = '') => {
      const { headers, ...rest } = request();
      const answer = await store.call('POST', '/v1/orders', {
        token: buyer.token,
        ...rest,
        headers: { ...key, ...headers },
      });
      expect(pickResult(answer)).toMatchObject(matchProblem(status, code, path));
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    });

    it('gets the new total if the price rose', async () => {
      const expectedTotal = { amount: 1, currency: 'KRW' };
      const { status, body: problem } = await store.buy(buyer.token, body({ expectedTotal }));
      expect({ status, total: problem.total }).toEqual({
        status: 409,
        total: { amount: 12_000, currency: 'KRW' },
      });
    });

    it('adds no stock with a receipt without an Idempotency-Key', async () => {
      const receipt = { token: store.getToken('merchant'), body: { quantity: 7 } };
      const path = `/v1/stock/${productId}/receipts`;
      expect(pickResult(await store.call('POST', path, receipt))).toMatchObject(
        matchProblem(400, 'idempotency-key-missing'),
      );
      expect(await store.readAvailable(productId)).toBe(5);
    });

    it('beyond the stock is rejected', async () => {
      const { body } = await store.buy(buyer.token, store.buildOrder(productId, 'tok_ok', 6));
      expect(body).toMatchObject({ status: 'rejected', rejection: 'out-of-stock' });
    });

    it('has no reservation, charge or mail', async () => {
      const { body } = await store.call('GET', '/v1/orders', { token: buyer.token });
      expect(body.items).toMatchObject([{ status: 'rejected' }]); // from the test above
      const path = `/v1/orders/${body.items[0].orderId}/payments`;
      expect(pickResult(await store.call('GET', path, { token: buyer.token }))).toEqual({
        status: 200,
        body: { items: [], nextCursor: null },
      });
      expect(await store.readAvailable(productId)).toBe(5);
      const subjects = (await store.readMailbox(buyer.email)).map(({ subject }) => subject);
      expect(subjects.filter((subject) => subject.includes('확정'))).toEqual([]);
    });

    it('hides the order of another member', async () => {
      const { orderId } = (await store.buy(buyer.token, body())).body;
      const { token } = await store.createMember();
      for (const path of ['', '/payments'])
        expect(pickResult(await store.call('GET', `/v1/orders/${orderId}${path}`, { token }))).toMatchObject(
          matchProblem(404, 'not-found'),
        );
      expect(
        pickResult(await store.call('POST', `/v1/orders/${orderId}/cancellation`, { token })),
      ).toMatchObject(matchProblem(404, 'not-found'));
      expect(await store.readStatus(buyer.token, orderId)).toBe('confirmed');
    });
  });
