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
import { isAbout, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { price, PaymentsFixture } from './till.ts';

// One instance handles the messages about an order one at a time; two instances can handle them concurrently.
describe('payments, two instances', () => {
  let fixture: PaymentsFixture;
  let payments: ServiceUnderTest;
  let second: { stop(): Promise<void> };

  beforeAll(async () => {
    fixture = await PaymentsFixture.start({
      PROVIDER_TIMEOUT: '8000',
      SANDBOX_DELAY: '4000',
      RETRY_DELAYS: '50,100,200,400,800,1600',
    });
    payments = fixture.payments;
    second = await payments.startAnother();
  });
  afterAll(async () => {
    await second.stop();
    await payments.stop();
  });
  afterEach(async () => expect(await fixture.findInconsistencies()).toEqual([]));

  it('voids a charge if its order was returned during the provider call', async () => {
    const orderId = await fixture.sendAuthorization('tok_timeout');
    await eventually(async () => (await fixture.countCharges())['authorized'] === 1);
    // Only the idle instance responds in time. Requests queued in the other one expire unhandled.
    await eventually(() => payments.ask(ReturnPayment, { orderId }, { timeout: 150 }).then(() => true));
    await eventually(async () => (await fixture.countCharges())['voided'] === 1);
    await payments.waitForEvent(PaymentVoided, isAbout('orderId', orderId));
    await eventually(async () => (await fixture.readStatus(orderId)) === 'voided');
    expect(payments.getPublishedEvents(PaymentAuthorized).filter(isAbout('orderId', orderId))).toEqual([]);
  });

  it('captures and refunds each payment once, in any message order', async () => {
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
    const statuses = async () => Promise.all(orders.map((orderId) => fixture.readStatus(orderId)));
    const ended = ['voided', 'refunded', 'returned', 'declined'];
    await eventually(async () => (await statuses()).every((status) => ended.includes(status ?? '')), 20_000);
    await eventually(
      async () => (await payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
  });

  it('publishes each event once if two instances handle the same command', async () => {
    const orders = await Promise.all(Array.from({ length: 30 }, () => fixture.authorize()));
    const sendTwice = (message: typeof CapturePayment | typeof ReturnPayment) =>
      Promise.all(orders.flatMap((orderId) => [1, 2].map(() => payments.send(message({ orderId })))));
    const waitForStatus = (status: string) =>
      eventually(async () =>
        (await Promise.all(orders.map((id) => fixture.readStatus(id)))).every((s) => s === status),
      );
    const countEvents = (event: typeof PaymentCaptured | typeof PaymentRefunded) =>
      payments.getPublishedEvents(event).filter(({ orderId }) => orders.includes(orderId)).length;
    await sendTwice(CapturePayment);
    await waitForStatus('captured');
    await sendTwice(ReturnPayment);
    await waitForStatus('refunded');
    await eventually(() => countEvents(PaymentRefunded) >= 30);
    expect([countEvents(PaymentCaptured), countEvents(PaymentRefunded)]).toEqual([30, 30]);
    await expect(
      fixture.queryLedger('SELECT count(*)::int FROM ledger_entry WHERE order_id = ANY($1)', [orders]),
    ).resolves.toEqual([{ count: 120 }]);
  });

  it('voids a payment once if two instances handle the same return', async () => {
    const orders = await Promise.all(Array.from({ length: 30 }, () => fixture.authorize()));
    await Promise.all(
      orders.flatMap((orderId) => [1, 2].map(() => payments.send(ReturnPayment({ orderId })))),
    );
    const getEvents = () =>
      payments.getPublishedEvents(PaymentVoided).filter(({ orderId }) => orders.includes(orderId));
    await eventually(() => getEvents().length >= 30);
    // A reply for each order proves that the second message was handled too.
    for (const orderId of orders) await payments.ask(ReturnPayment, { orderId });
    await eventually(
      async () => (await payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
    expect(getEvents()).toHaveLength(30);
  });
});
