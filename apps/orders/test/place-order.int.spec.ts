import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { StorageEncryption } from '@jogakbo/consistency';
import { StockRefused, StockReserved } from '@jogakbo/contracts-inventory';
import {
  CancelOrder,
  GetOrder,
  ListOrders,
  OrderConfirmed,
  OrderPlaced,
  OrderRejected,
} from '@jogakbo/contracts-orders';
import { isAbout, type ServiceUnderTest } from '@jogakbo/testing';
import { maxOpenOrders } from '../src/open-orders.ts';
import {
  basket,
  free,
  member,
  productId,
  shipTo,
  startOrders,
  type OrdersUnderTest,
} from './orders-under-test.ts';

describe('placing an order', () => {
  let orders: ServiceUnderTest;
  let place: OrdersUnderTest['place'];
  let countQuotes: OrdersUnderTest['countQuotes'];

  beforeAll(async () => {
    ({ orders, place, countQuotes } = await startOrders());
  });
  afterAll(() => orders.stop());

  it('ignores the payment token of a free order', async () => {
    const paid = { ...free(), payment: { token: 'tok_unheard_of' } };
    const caller = member();
    const { orderId } = await place(caller, randomUUID(), paid);
    await orders.waitForEvent(OrderPlaced, isAbout('orderId', orderId));
    const sql = `SELECT state FROM saga WHERE name = 'checkout' AND key = $1`;
    const [{ state }] = (await orders.query(sql, [orderId])) as [{ state: unknown }];
    expect(orders.get(StorageEncryption).decrypt(state, `saga checkout ${orderId}`)).toEqual({
      memberId: caller.memberId,
      amount: { amount: 0, currency: 'KRW' },
    });
  });

  it.each([
    ['a product', () => [{ productId, quantity: 1 }]],
    ['one of several products', () => [...free().lines, { productId, quantity: 1 }]],
  ])('requires a payment if %s is not free', async (_, lines) => {
    await expect(place(member(), randomUUID(), { shipTo, lines: lines() })).rejects.toMatchObject({
      ...{ code: 'payment-required', status: 422 },
      errors: [{ path: 'payment' }],
    });
  });

  describe('at the limit of open orders', () => {
    const caller = member();
    let open: string[] = [];
    beforeAll(async () => {
      // Concurrent: the limit is exact.
      const all = await Promise.allSettled(
        Array.from({ length: maxOpenOrders + 5 }, () => place(caller, randomUUID(), free())),
      );
      open = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value.orderId] : []));
    });

    it('rejects further orders of this member, with Retry-After', async () => {
      expect(open).toHaveLength(maxOpenOrders);
      const rejection = { code: 'too-many-open-orders', status: 429, retryAfter: 5 };
      const key = randomUUID();
      await expect(place(caller, key)).rejects.toMatchObject(rejection);
      await expect(place()).resolves.toMatchObject({ status: 'placed' });
      await orders.ask(CancelOrder, { orderId: open[0]! }, { caller });
      // The rejected request did not use up the key.
      await expect(place(caller, key)).resolves.toMatchObject({ status: 'placed' });
      await expect(place(caller)).rejects.toMatchObject(rejection);
    });

    it('accepts one more for each that is confirmed or rejected', async () => {
      await orders.announce(StockReserved({ orderId: open[1]! }));
      await orders.waitForEvent(OrderConfirmed, isAbout('orderId', open[1]!));
      await orders.announce(StockRefused({ orderId: open[2]!, productId, available: 1 }));
      await orders.waitForEvent(OrderRejected, isAbout('orderId', open[2]!));
      await expect(place(caller)).resolves.toMatchObject({ status: 'placed' });
      await expect(place(caller)).resolves.toMatchObject({ status: 'placed' });
      await expect(place(caller)).rejects.toMatchObject({ code: 'too-many-open-orders' });
    });
  });

  it('accepts a product id in upper case', async () => {
    const body = basket();
    const upperCase = {
      ...body,
      lines: [{ ...body.lines[0]!, productId: productId.toUpperCase() as typeof productId }],
    };
    const { orderId } = await place(member(), randomUUID(), upperCase);
    const { lines } = await orders.waitForEvent(OrderPlaced, isAbout('orderId', orderId));
    expect(lines).toMatchObject([{ productId }]);
  });

  it.each([
    ['an unknown country', { country: 'ZZ' }, 'shipTo.country'],
    ['a country in lower case', { country: 'kr' }, 'shipTo.country'],
    ['a text direction override', { name: '김\u202e철수' }, 'shipTo.name'],
    ['a control character', { line1: 'Jong-ro\u00071' }, 'shipTo.line1'],
    ['invisible characters only', { city: '\u3164\u200b' }, 'shipTo.city'],
  ])('rejects an address with %s', async (_, field, path) => {
    const body = { ...basket(), shipTo: { ...shipTo, ...field } };
    await expect(place(member(), randomUUID(), body)).rejects.toMatchObject({
      code: 'invalid',
      errors: expect.arrayContaining([{ path, message: expect.any(String) }]),
    });
  });

  it('counts and stores an address in composed form (NFC)', async () => {
    const name = '각'.repeat(200);
    const body = { ...basket(), shipTo: { ...shipTo, name: name.normalize('NFD') } };
    const caller = member();
    const { orderId } = await place(caller, randomUUID(), body);
    expect((await orders.ask(GetOrder, { orderId }, { caller })).shipTo.name).toBe(name);
  });

  describe('with a repeated Idempotency-Key', () => {
    it('returns the same response, and places one order', async () => {
      const caller = member();
      const key = randomUUID();
      const first = await place(caller, key);
      const asked = countQuotes();
      const again = await place(caller, key);
      expect(JSON.stringify(again)).toBe(JSON.stringify(first));
      expect(countQuotes()).toBe(asked);
      expect((await orders.ask(ListOrders, {}, { caller })).items).toHaveLength(1);
    });

    it('rejects a different request with the same key', async () => {
      const caller = member();
      const key = randomUUID();
      await place(caller, key);
      await expect(place(caller, key, basket(3))).rejects.toMatchObject({
        code: 'idempotency-key-reused',
        status: 422,
      });
    });

    it('places one order for twenty concurrent requests', async () => {
      const caller = member();
      const key = randomUUID();
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => place(caller, key)));
      const answers = results.flatMap((result) =>
        result.status === 'fulfilled' ? [result.value.orderId] : [],
      );
      const codes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason.code] : []));
      expect(new Set(answers).size).toBe(1);
      expect(new Set(codes)).toEqual(codes.length > 0 ? new Set(['idempotency-key-in-flight']) : new Set());
      expect((await orders.ask(ListOrders, {}, { caller })).items).toHaveLength(1);
    });

    it('separates equal keys of two members', async () => {
      const key = randomUUID();
      const [a, b] = await Promise.all([place(member(), key), place(member(), key)]);
      expect(a.orderId).not.toBe(b.orderId);
    });
  });

  it('names unknown products and unknown payment tokens', async () => {
    const lines = [
      { productId, quantity: 1 },
      { productId: randomUUID(), quantity: 1 },
    ];
    await expect(place(member(), randomUUID(), { ...basket(), lines })).rejects.toMatchObject({
      code: 'unknown-product',
      status: 422,
      errors: [{ path: 'lines.1.productId' }],
    });
    await expect(place(member(), randomUUID(), basket(1, 'tok_unheard_of'))).rejects.toMatchObject({
      code: 'unknown-payment-token',
      errors: [{ path: 'payment.token' }],
    });
  });

  describe('if the price differs from the one shown', () => {
    const krw = (amount: number) => ({ amount, currency: 'KRW' });
    const seenAt = (priceVersion: number) => ({ lines: [{ productId, quantity: 2, priceVersion }] });
    const buy = (seen: object) => place(member(), randomUUID(), { ...basket(), ...seen });

    it.each([
      ['an expected total below it', { expectedTotal: krw(1_999) }, 'expectedTotal'],
      ['another currency', { expectedTotal: { amount: 9_999, currency: 'USD' } }, 'expectedTotal'],
      ['the version of a lower price', seenAt(1), 'lines.0.priceVersion'],
      ['a version without a recorded price', seenAt(4), 'lines.0.priceVersion'],
      ['one line of several', { lines: [...seenAt(2).lines, ...seenAt(1).lines] }, 'lines.1.priceVersion'],
      [
        'a matching total and a line with a lower price',
        { expectedTotal: krw(2_000), ...seenAt(1) },
        'lines.0.priceVersion',
      ],
    ])('rejects %s, with the new total', async (_, seen, path) => {
      const lines = 'lines' in seen ? seen.lines.length : 1;
      await expect(buy(seen)).rejects.toMatchObject({
        ...{ code: 'price-changed', status: 409 },
        errors: [{ path }],
        extensions: { total: krw(2_000 * lines) },
      });
    });

    it.each([
      ['the same total', { expectedTotal: krw(2_000) }],
      ['a higher total', { expectedTotal: krw(3_000) }],
      ['the version of the same price', seenAt(2)],
      ['the version of a higher price', seenAt(3)],
    ])('buys at the current price with %s', async (_, seen) => {
      await expect(buy(seen)).resolves.toMatchObject({ status: 'placed', total: krw(2_000) });
    });

    it('keeps the Idempotency-Key unused for the new total', async () => {
      const [caller, key] = [member(), randomUUID()];
      const refused = place(caller, key, { ...basket(), ...{ expectedTotal: krw(1) } });
      await expect(refused).rejects.toMatchObject({ code: 'price-changed' });
      await expect(
        place(caller, key, { ...basket(), ...{ expectedTotal: krw(2_000) } }),
      ).resolves.toMatchObject({
        status: 'placed',
      });
    });
  });

  it('limits the pieces per product, not per line', async () => {
    const lines = (...quantities: number[]) => quantities.map((quantity) => ({ productId, quantity }));
    await expect(
      place(member(), randomUUID(), { ...basket(), lines: lines(600, 400, 1) }),
    ).rejects.toMatchObject({
      code: 'invalid',
      errors: [{ path: 'lines.2.quantity' }],
    });
    await expect(
      place(member(), randomUUID(), { ...basket(), lines: lines(600, 400) }),
    ).resolves.toMatchObject({
      total: { amount: 1_000_000, currency: 'KRW' },
    });
  });

  it.each([0, -1, 1.5, 1001])('rejects a quantity of %d', async (quantity) => {
    await expect(place(member(), randomUUID(), basket(quantity))).rejects.toMatchObject({
      code: 'invalid',
      errors: [{ path: 'lines.0.quantity' }],
    });
  });
});
