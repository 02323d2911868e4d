import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Body } from '@jogakbo/contract';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import {
  CommitStock,
  ReserveStock,
  ReturnStock,
  StockRefused,
  StockReserved,
} from '@jogakbo/contracts-inventory';
import {
  CancelOrder,
  GetOrder,
  GetOrderOutcome,
  GetOrderOwner,
  ListOrders,
  OrderCancelled,
  OrderConfirmed,
  OrderPlaced,
  OrderRejected,
  PlaceOrder,
} from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  CheckPaymentToken,
  PaymentAuthorized,
  PaymentDeclined,
  PaymentRefunded,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { isAbout, eventually, ServiceUnderTest, type StubbedService } from '@jogakbo/testing';
import { maxOpenOrders } from '../src/open-orders.ts';
import { OrdersModule } from '../src/orders.module.ts';

const member = () => ({ memberId: randomUUID(), roles: ['member'] });
const productId = randomUUID();
const freeProductId = randomUUID();
const shipTo = { name: 'Kim', line1: 'Jong-ro 1', city: 'Seoul', postalCode: '03000', country: 'KR' };
const basket = (quantity = 2, token = 'tok_ok') => ({
  lines: [{ productId, quantity }],
  shipTo,
  payment: { token },
});

/** Without a payment. */
const free = () => ({ lines: [{ productId: freeProductId, quantity: 2 }], shipTo });

describe('orders', () => {
  let orders: ServiceUnderTest;
  let inventory: StubbedService;
  let payments: StubbedService;
  let quotes = 0;

  beforeAll(async () => {
    orders = await ServiceUnderTest.start(OrdersModule);
    await orders.stub('catalog', [
      [
        QuoteProducts,
        ({ productIds, earlier = [] }: Body<typeof QuoteProducts>) => {
          quotes++;
          const price = { amount: 1_000, currency: 'KRW' };
          const known = productIds.filter((id) => id === productId || id === freeProductId);
          return {
            items: known.map((id) => ({
              ...{ productId: id, name: '조각보', version: 4 },
              price: id === freeProductId ? { ...price, amount: 0 } : price,
            })),
            // Earlier prices were 900, 1,000 and 1,100; version 4 has no recorded price.
            earlier: earlier
              .filter(({ version }) => version < 4)
              .map((one) => ({ ...one, price: { amount: 800 + 100 * one.version, currency: 'KRW' } })),
          };
        },
      ],
    ]);
    inventory = await orders.stub('inventory', [
      [ReserveStock, () => undefined],
      [CommitStock, () => undefined],
      [ReturnStock, () => undefined],
    ]);
    payments = await orders.stub('payments', [
      [CheckPaymentToken, ({ token }: { token: string }) => ({ known: token !== 'tok_unheard_of' })],
      [AuthorizePayment, () => undefined],
      [CapturePayment, () => undefined],
      [ReturnPayment, () => undefined],
    ]);
  });
  afterAll(() => orders.stop());

  const place = (
    caller = member(),
    idempotencyKey: string = randomUUID(),
    body: Body<typeof PlaceOrder> = basket(),
  ) => orders.ask(PlaceOrder, body, { caller, idempotencyKey });
  const total = { amount: 2_000, currency: 'KRW' };

  it('runs an order through reservation, authorization and confirmation to capture', async () => {
    const caller = member();
    const { orderId, status } = await place(caller);
    expect(status).toBe('placed');
    await orders.waitForEvent(OrderPlaced, isAbout('orderId', orderId));
    const placed = `SELECT data FROM outbox WHERE subject = $1 AND name IN ('orders.order-placed', 'orders.start-checkout')`;
    const [announced, ...others] = await orders.query<{ data: object }>(placed, [orderId]);
    // The token reaches payments through the state of the checkout, which is encrypted.
    expect(Object.keys(announced!.data).sort()).toEqual([
      'language',
      'lines',
      'memberId',
      'orderId',
      'total',
    ]);
    expect(others).toEqual([]);
    await eventually(() => inventory.received(ReserveStock).find(isAbout('orderId', orderId)));

    await orders.announce(StockReserved({ orderId }));
    const authorization = await eventually(() =>
      payments.received(AuthorizePayment).find(isAbout('orderId', orderId)),
    );
    expect(authorization).toMatchObject({ token: basket().payment.token, amount: total });
    await orders.announce(PaymentAuthorized({ orderId, paymentId: randomUUID(), amount: total }));
    await orders.waitForEvent(OrderConfirmed, isAbout('orderId', orderId));
    await eventually(() => inventory.received(CommitStock).find(isAbout('orderId', orderId)));
    await eventually(() => payments.received(CapturePayment).find(isAbout('orderId', orderId)));

    // The payment token is deleted with the state of the checkout.
    await expect(orders.query('SELECT state FROM saga WHERE key = $1', [orderId])).resolves.toEqual([
      { state: null },
    ]);

    const order = await orders.ask(GetOrder, { orderId }, { caller });
    expect(order).toMatchObject({
      status: 'confirmed',
      total,
      lines: [{ productId, quantity: 2, name: '조각보' }],
    });
    expect(order.history.map(({ event }) => event)).toEqual(['order-placed', 'order-confirmed']);
  });

  it('sends no payment command for a free order', async () => {
    const caller = member();
    const { orderId } = await place(caller, randomUUID(), free());
    await orders.announce(StockReserved({ orderId }));
    await orders.waitForEvent(OrderConfirmed, isAbout('orderId', orderId));
    await eventually(() => inventory.received(CommitStock).find(isAbout('orderId', orderId)));
    await orders.ask(CancelOrder, { orderId }, { caller });
    await eventually(() => inventory.received(ReturnStock).find(isAbout('orderId', orderId)));
    const sent = `SELECT name FROM outbox WHERE subject = $1 AND name LIKE 'payments.%'`;
    await expect(orders.query(sent, [orderId])).resolves.toEqual([]);
    await expect(orders.ask(GetOrderOwner, { orderId })).resolves.toEqual({ memberId: caller.memberId });
  });

  it('ignores the payment token of a free order', async () => {
    const paid = { ...free(), payment: { token: 'tok_unheard_of' } };
    const { orderId } = await place(member(), randomUUID(), paid);
    await orders.waitForEvent(OrderPlaced, isAbout('orderId', orderId));
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

  it('rejects the order if stock is refused', async () => {
    const caller = member();
    const { orderId } = await place(caller);
    await orders.announce(StockRefused({ orderId, productId, available: 1 }));
    await orders.waitForEvent(
      OrderRejected,
      (event) => event.orderId === orderId && event.rejection === 'out-of-stock',
    );
    await expect(orders.ask(GetOrder, { orderId }, { caller })).resolves.toMatchObject({
      status: 'rejected',
      rejection: 'out-of-stock',
    });
  });

  it('returns the stock if the payment is declined', async () => {
    const { orderId } = await place();
    await orders.announce(StockReserved({ orderId }));
    await orders.announce(PaymentDeclined({ orderId, paymentId: randomUUID(), reason: 'card-declined' }));
    await eventually(() => inventory.received(ReturnStock).find(isAbout('orderId', orderId)));
    await orders.waitForEvent(OrderRejected, isAbout('orderId', orderId));
  });

  it('cancels a confirmed order, and marks it refunded after the refund', async () => {
    const caller = member();
    const { orderId } = await place(caller);
    await orders.announce(StockReserved({ orderId }));
    await orders.announce(PaymentAuthorized({ orderId, paymentId: randomUUID(), amount: total }));
    await orders.waitForEvent(OrderConfirmed, isAbout('orderId', orderId));

    await expect(orders.ask(CancelOrder, { orderId }, { caller })).resolves.toMatchObject({
      status: 'cancelled',
    });
    const { wasConfirmed } = await orders.waitForEvent(OrderCancelled, isAbout('orderId', orderId));
    expect(wasConfirmed).toBe(true);
    await eventually(() => payments.received(ReturnPayment).find(isAbout('orderId', orderId)));
    await eventually(() => inventory.received(ReturnStock).find(isAbout('orderId', orderId)));
    await orders.announce(PaymentRefunded({ orderId, paymentId: randomUUID(), amount: total }));
    await eventually(async () => (await orders.ask(GetOrder, { orderId }, { caller })).status === 'refunded');
    await expect(orders.ask(GetOrderOutcome, { orderId })).resolves.toMatchObject({ status: 'confirmed' });
  });

  it('ignores an authorization after the cancellation', async () => {
    const caller = member();
    const { orderId } = await place(caller);
    await orders.announce(StockReserved({ orderId }));
    await orders.ask(CancelOrder, { orderId }, { caller });
    const { wasConfirmed } = await orders.waitForEvent(OrderCancelled, isAbout('orderId', orderId));
    expect(wasConfirmed).toBe(false);
    await orders.announce(PaymentAuthorized({ orderId, paymentId: randomUUID(), amount: total }));
    await eventually(() => payments.received(ReturnPayment).find(isAbout('orderId', orderId)));
    await expect(orders.ask(GetOrder, { orderId }, { caller })).resolves.toMatchObject({
      status: 'cancelled',
    });
    expect(orders.getPublishedEvents(OrderConfirmed).filter(isAbout('orderId', orderId))).toEqual([]);
  });

  it('returns an order to its owner only; to others it does not exist', async () => {
    const { orderId } = await place();
    for (const request of [GetOrder, CancelOrder] as const) {
      const ask = (id: string) =>
        orders.ask(request as typeof GetOrder, { orderId: id }, { caller: member() });
      const rejections = await Promise.allSettled([ask(orderId), ask(randomUUID())]);
      const rejection = { code: 'not-found', status: 404, message: 'there is no such thing' };
      for (const one of rejections) expect(one).toMatchObject({ status: 'rejected', reason: rejection });
    }
    await expect(orders.ask(GetOrder, { orderId })).rejects.toMatchObject({ code: 'unauthenticated' });
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

  it("lists a member's own orders, newest first", async () => {
    const caller = member();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.unshift((await place(caller)).orderId);
    const first = await eventually(async () => {
      const page = await orders.ask(ListOrders, { limit: 2 }, { caller });
      return !page.pending && page;
    });
    const second = await orders.ask(ListOrders, { limit: 2, cursor: first.nextCursor! }, { caller });
    expect([...first.items, ...second.items].map(({ orderId }) => orderId)).toEqual(ids);
    expect(second.nextCursor).toBeNull();
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
      const asked = quotes;
      const again = await place(caller, key);
      expect(JSON.stringify(again)).toBe(JSON.stringify(first));
      expect(quotes).toBe(asked);
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

  it('handles each event once, however often it is delivered', async () => {
    const { orderId } = await place();
    const id = randomUUID();
    const event = PaymentAuthorized({ orderId, paymentId: randomUUID(), amount: total });
    await orders.announce(StockReserved({ orderId }));
    for (let i = 0; i < 3; i++) await orders.announce(event, id);
    await orders.waitForEvent(OrderConfirmed, isAbout('orderId', orderId));
    await orders.announce(event); // an equal event with another message id
    await eventually(() => payments.received(CapturePayment).find(isAbout('orderId', orderId)));
    expect(orders.getPublishedEvents(OrderConfirmed).filter(isAbout('orderId', orderId))).toHaveLength(1);
    expect(payments.received(AuthorizePayment).filter(isAbout('orderId', orderId))).toHaveLength(1);
    expect(payments.received(CapturePayment).filter(isAbout('orderId', orderId))).toHaveLength(1);
  });

  it('continues after a restart', async () => {
    const { orderId } = await place();
    await orders.announce(StockReserved({ orderId }));
    await orders.restart();
    await orders.announce(PaymentAuthorized({ orderId, paymentId: randomUUID(), amount: total }));
    await orders.waitForEvent(OrderConfirmed, isAbout('orderId', orderId));
  });

  it('cancels in one instance while another handles the payment, without a deadlock', async () => {
    const other = await orders.startAnother();
    // Each transaction holds its first lock for 100 ms before it takes the next.
    await orders.query(`
      CREATE FUNCTION delay_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
      CREATE TRIGGER delay_insert BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION delay_insert()`);
    const faults = async () =>
      (await Promise.all([orders, other].map(async ({ url }) => (await fetch(`${url}/metrics`)).text())))
        .flatMap((metrics) => metrics.split('\n'))
        .filter((line) => /^messages_handled_seconds_count.*outcome="fault"/.test(line));
    const caller = member();
    const placed = await Promise.all(Array.from({ length: 16 }, () => place(caller)));
    for (const { orderId } of placed) await orders.announce(StockReserved({ orderId }));
    for (const { orderId } of placed)
      await eventually(() => payments.received(AuthorizePayment).find(isAbout('orderId', orderId)));
    const before = await faults();
    const messages = new Map(placed.map(({ orderId }) => [orderId, [randomUUID(), randomUUID()]]));
    await Promise.all(
      placed.map(async ({ orderId }) => {
        const cancelled = orders.ask(CancelOrder, { orderId }, { caller, timeout: 20_000 });
        await sleep(20);
        // One message for each instance.
        const paid = PaymentAuthorized({ orderId, paymentId: randomUUID(), amount: total });
        await Promise.all(messages.get(orderId)!.map((id) => orders.announce(paid, id)));
        await cancelled;
      }),
    );
    const ids = [...messages.values()].flat();
    await eventually(
      async () => (await orders.query('SELECT FROM inbox WHERE key = ANY($1)', [ids])).length === ids.length,
    );
    await orders.query('DROP FUNCTION delay_insert CASCADE');
    // The database ends a deadlock after a second, and a retry would hide it.
    const after = await faults();
    await other.stop();
    expect(after).toEqual(before);
  });

  it('times out although other sagas fail, and retries those', async () => {
    const due = `now() - interval '1 hour'`;
    await orders.query(
      // Not a valid order id: its commands are rejected.
      `INSERT INTO saga (name, key, state, due_at) VALUES ('checkout', 'not an id', '{}', ${due})`,
    );
    await orders.query(
      `INSERT INTO saga (name, key, state, due_at) SELECT 'of an older version', n, '{}', ${due} FROM generate_series(1, 60) AS n`,
    );
    const { orderId } = await place();
    await orders.query(`UPDATE saga SET due_at = now() WHERE name = 'checkout' AND key = $1`, [orderId]);
    await orders.waitForEvent(
      OrderRejected,
      (event) => event.orderId === orderId && event.rejection === 'timeout',
    );
    const [stuck] = await orders.query<{ later: boolean; ended_at: null }>(
      `SELECT due_at > now() + interval '30 seconds' AS later, ended_at FROM saga WHERE key = 'not an id'`,
    );
    expect(stuck).toEqual({ later: true, ended_at: null });
  });

  it('times out after ten minutes and compensates', async () => {
    const { orderId } = await place();
    await orders.query(
      `UPDATE saga SET due_at = now() - interval '1 second' WHERE name = 'checkout' AND key = $1`,
      [orderId],
    );
    await orders.waitForEvent(
      OrderRejected,
      (event) => event.orderId === orderId && event.rejection === 'timeout',
    );
    await eventually(() => payments.received(ReturnPayment).find(isAbout('orderId', orderId)));
  });
});
