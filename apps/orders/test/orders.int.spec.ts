import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
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
} from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  PaymentAuthorized,
  PaymentDeclined,
  PaymentRefunded,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { isAbout, eventually, type ServiceUnderTest, type StubbedService } from '@jogakbo/testing';
import {
  basket,
  free,
  member,
  productId,
  startOrders,
  total,
  type OrdersUnderTest,
} from './orders-under-test.ts';

describe('orders', () => {
  let orders: ServiceUnderTest;
  let inventory: StubbedService;
  let payments: StubbedService;
  let place: OrdersUnderTest['place'];

  beforeAll(async () => {
    ({ orders, inventory, payments, place } = await startOrders());
  });
  afterAll(() => orders.stop());

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
