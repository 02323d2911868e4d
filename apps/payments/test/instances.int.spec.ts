import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import {
  AuthorizePayment,
  CapturePayment,
  PaymentAuthorized,
  PaymentCaptured,
  PaymentRefunded,
  PaymentVoided,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { about, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { price, Till } from './till.ts';

// Within one instance messages about an order never meet; between two they do.
describe('payments, two instances', () => {
  let till: Till;
  let payments: ServiceUnderTest;
  let second: { stop(): Promise<void> };

  beforeAll(async () => {
    till = await Till.open({
      PROVIDER_TIMEOUT: '8000',
      SANDBOX_DELAY: '4000',
      RETRY_LADDER: '50,100,200,400,800,1600',
    });
    payments = till.payments;
    second = await payments.startAnother();
  });
  afterAll(async () => {
    await second.stop();
    await payments.stop();
  });
  afterEach(async () => expect(await till.wrong()).toEqual([]));

  it('lets go of a charge whose order was returned while the provider was deciding', async () => {
    const orderId = await till.charge('tok_timeout');
    await eventually(async () => (await till.charges())['authorized'] === 1);
    // Only the instance that is not waiting answers in time; what waits behind the other expires and is never run.
    await eventually(() => payments.ask(ReturnPayment, { orderId }, { timeout: 150 }).then(() => true));
    await eventually(async () => (await till.charges())['voided'] === 1);
    await payments.hears(PaymentVoided, about(orderId));
    await eventually(async () => (await till.readStatus(orderId)) === 'voided');
    expect(payments.heard(PaymentAuthorized).filter(about(orderId))).toEqual([]);
  });

  it('takes and gives back each sum once, whatever comes first', async () => {
    const orders = Array.from({ length: 30 }, () => randomUUIDv7());
    const tokens = ['tok_ok', 'tok_flaky', 'tok_commit_then_drop'];
    await Promise.all(
      orders.flatMap((orderId, i) => {
        const token = tokens[i % tokens.length]!;
        const authorize = AuthorizePayment({ orderId, memberId: randomUUIDv7(), amount: price, token });
        const messages = [authorize, authorize, CapturePayment({ orderId }), ReturnPayment({ orderId })];
        return messages.map((message) => payments.send(message));
      }),
    );
    const statuses = async () => Promise.all(orders.map((orderId) => till.readStatus(orderId)));
    const over = ['voided', 'refunded', 'returned', 'declined'];
    await eventually(async () => (await statuses()).every((status) => over.includes(status ?? '')), 20_000);
    await eventually(
      async () => (await payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
  });

  it('says once what two instances do at once', async () => {
    const orders = await Promise.all(Array.from({ length: 30 }, () => till.authorized()));
    const twice = (message: typeof CapturePayment | typeof ReturnPayment) =>
      Promise.all(orders.flatMap((orderId) => [1, 2].map(() => payments.send(message({ orderId })))));
    const all = (status: string) =>
      eventually(async () =>
        (await Promise.all(orders.map((id) => till.readStatus(id)))).every((s) => s === status),
      );
    const heard = (event: typeof PaymentCaptured | typeof PaymentRefunded) =>
      payments.heard(event).filter(({ orderId }) => orders.includes(orderId)).length;
    await twice(CapturePayment);
    await all('captured');
    await twice(ReturnPayment);
    await all('refunded');
    await eventually(() => heard(PaymentRefunded) >= 30);
    expect([heard(PaymentCaptured), heard(PaymentRefunded)]).toEqual([30, 30]);
    await expect(
      till.books('SELECT count(*)::int FROM ledger_entry WHERE order_id = ANY($1)', [orders]),
    ).resolves.toEqual([{ count: 120 }]);
  });

  it('lets go twice at once, and says so once', async () => {
    const orders = await Promise.all(Array.from({ length: 30 }, () => till.authorized()));
    await Promise.all(
      orders.flatMap((orderId) => [1, 2].map(() => payments.send(ReturnPayment({ orderId })))),
    );
    const heard = () => payments.heard(PaymentVoided).filter(({ orderId }) => orders.includes(orderId));
    await eventually(() => heard().length >= 30);
    // What came second has been handled too once each order answers again.
    for (const orderId of orders) await payments.ask(ReturnPayment, { orderId });
    await eventually(
      async () => (await payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
    expect(heard()).toHaveLength(30);
  });
});
