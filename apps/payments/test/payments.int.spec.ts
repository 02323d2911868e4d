import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import { platformRejection } from '@jogakbo/contract';
import { GetOrderOwner } from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  CheckPaymentToken,
  ListOrderPayments,
  PaymentAuthorized,
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  PaymentVoided,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { isAbout, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { PaymentProvider } from '../src/provider.ts';
import { Sandbox } from '../src/sandbox/sandbox.ts';
import { PaymentsSettings } from '../src/settings.ts';
import { price, PaymentsFixture } from './till.ts';

describe('payments', () => {
  let fixture: PaymentsFixture;
  let payments: ServiceUnderTest;
  /** The members of orders without a payment. */
  const unpaid = new Map<string, string>();

  beforeAll(async () => {
    fixture = await PaymentsFixture.start();
    payments = fixture.payments;
    const getMember = (orderId: string) => {
      const memberId = unpaid.get(orderId);
      if (!memberId) throw platformRejection('not-found', 'there is no such order');
      return { memberId };
    };
    await payments.stub('orders', [
      [GetOrderOwner, ({ orderId }: { orderId: string }) => getMember(orderId)],
    ]);
  });
  afterAll(() => payments.stop());
  afterEach(async () => expect(await fixture.findInconsistencies()).toEqual([]));

  it.each(['tok_ok', 'tok_flaky', 'tok_commit_then_drop', 'tok_timeout'])(
    'authorizes %s with one charge',
    async (token) => {
      const before = await fixture.countCharges();
      const orderId = await fixture.sendAuthorization(token);
      const event = await payments.waitForEvent(PaymentAuthorized, isAbout('orderId', orderId));
      expect(event.amount).toEqual(price);
      await expect(fixture.readStatus(orderId)).resolves.toBe('authorized');
      const authorized = (before['authorized'] ?? 0) + 1;
      await expect(fixture.countCharges()).resolves.toEqual({ ...before, authorized });
    },
  );

  it.each([
    ['tok_declined', 'card-declined'],
    ['tok_insufficient_funds', 'insufficient-funds'],
    ['tok_unheard_of', 'unknown-payment-token'],
    ['constructor', 'unknown-payment-token'],
  ])('declines %s: %s', async (token, reason) => {
    const orderId = await fixture.sendAuthorization(token);
    await expect(payments.waitForEvent(PaymentDeclined, isAbout('orderId', orderId))).resolves.toMatchObject({
      reason,
    });
    await expect(fixture.readStatus(orderId)).resolves.toBe('declined');
    await payments.ask(ReturnPayment, { orderId });
    await expect(fixture.readStatus(orderId)).resolves.toBe('declined');
    await expect(payments.ask(CapturePayment, { orderId })).rejects.toMatchObject({
      code: 'payment-declined',
    });
  });

  it('checks whether a token is known', async () => {
    await expect(payments.ask(CheckPaymentToken, { token: 'tok_timeout' })).resolves.toEqual({ known: true });
    await expect(payments.ask(CheckPaymentToken, { token: 'tok_nope' })).resolves.toEqual({ known: false });
  });

  it('charges once for repeated and for equal messages', async () => {
    const before = await fixture.countCharges();
    const orderId = randomUUIDv7();
    const message = AuthorizePayment({ orderId, memberId: randomUUIDv7(), amount: price, token: 'tok_ok' });
    const messageId = randomUUIDv7();
    await Promise.all([1, 2, 3].map(() => payments.send(message, messageId)));
    await Promise.all([1, 2, 3].map(() => payments.send(message)));
    await payments.ask(CapturePayment, { orderId });
    await payments.ask(CapturePayment, { orderId });
    await payments.waitForEvent(PaymentCaptured, isAbout('orderId', orderId));
    expect(payments.getPublishedEvents(PaymentAuthorized).filter(isAbout('orderId', orderId))).toHaveLength(
      1,
    );
    expect(payments.getPublishedEvents(PaymentCaptured).filter(isAbout('orderId', orderId))).toHaveLength(1);
    await expect(fixture.countCharges()).resolves.toEqual({
      ...before,
      captured: (before['captured'] ?? 0) + 1,
    });
  });

  it('adds a capture to the ledger', async () => {
    const orderId = await fixture.capture();
    await expect(fixture.readEntries(orderId)).resolves.toEqual([
      { account: 'provider-receivable', amount: 42_000 },
      { account: 'sales', amount: -42_000 },
    ]);
  });

  it('refunds a capture once', async () => {
    const orderId = await fixture.capture();
    for (let i = 0; i < 3; i++) await payments.send(ReturnPayment({ orderId }));
    await expect(payments.waitForEvent(PaymentRefunded, isAbout('orderId', orderId))).resolves.toMatchObject({
      amount: price,
    });
    await payments.ask(CapturePayment, { orderId });
    await expect(fixture.readStatus(orderId)).resolves.toBe('refunded');
    await expect(fixture.readEntries(orderId)).resolves.toHaveLength(4);
    expect(payments.getPublishedEvents(PaymentRefunded).filter(isAbout('orderId', orderId))).toHaveLength(1);
  });

  it('voids an authorization, and never captures it afterwards', async () => {
    const orderId = await fixture.authorize();
    await payments.send(ReturnPayment({ orderId }));
    await payments.waitForEvent(PaymentVoided, isAbout('orderId', orderId));
    await payments.ask(CapturePayment, { orderId });
    await expect(fixture.readStatus(orderId)).resolves.toBe('voided');
    await expect(fixture.readEntries(orderId)).resolves.toEqual([]);
  });

  it('retries a capture until the payment is authorized', async () => {
    const orderId = randomUUIDv7();
    await payments.send(CapturePayment({ orderId }));
    await fixture.sendAuthorization('tok_ok', orderId);
    await payments.waitForEvent(PaymentCaptured, isAbout('orderId', orderId));
  });

  it('keeps the ledger balanced and append-only', async () => {
    const orderId = await fixture.capture();
    const [payment] = await fixture.queryLedger<{ id: string }>(
      'SELECT payment_id AS id FROM payment WHERE order_id = $1',
      [orderId],
    );
    const add = (amounts: number[]) =>
      payments.query(
        `INSERT INTO ledger_entry (transaction, payment_id, order_id, account, amount, currency, at)
         SELECT 99, $1, $2, 'gift-' || amount, amount, 'KRW', now() FROM unnest($3::bigint[]) AS amount`,
        [payment!.id, orderId, amounts],
      );
    await expect(add([5])).rejects.toThrow('does not balance');
    await expect(add([5, -4])).rejects.toThrow('does not balance');
    await expect(add([5, -5])).resolves.toBeDefined();
    await expect(payments.query('UPDATE ledger_entry SET amount = 1')).rejects.toThrow('only added to');
    await expect(payments.query('DELETE FROM ledger_entry')).rejects.toThrow('only added to');
  });

  it('returns the payments of an order to its owner only', async () => {
    const orderId = await fixture.capture();
    const [row] = await fixture.queryLedger<{ id: string }>(
      'SELECT member_id AS id FROM payment WHERE order_id = $1',
      [orderId],
    );
    const list = (memberId: string, about = orderId) =>
      payments.ask(ListOrderPayments, { orderId: about }, { caller: { memberId, roles: [] } });
    await expect(list(row!.id)).resolves.toEqual({
      items: [
        {
          paymentId: expect.any(String),
          status: 'captured',
          amount: price,
          sandbox: true,
          entries: [
            { account: 'provider-receivable', amount: 42_000, currency: 'KRW', at: expect.any(String) },
            { account: 'sales', amount: -42_000, currency: 'KRW', at: expect.any(String) },
          ],
        },
      ],
      nextCursor: null,
    });
    // The same message, whether orders has the order, payments has it, or neither.
    const notFound = { code: 'not-found', status: 404, message: 'there is no such thing' };
    await expect(list(randomUUIDv7())).rejects.toMatchObject(notFound);
    await expect(list(row!.id, randomUUIDv7())).rejects.toMatchObject(notFound);
    await expect(payments.ask(ListOrderPayments, { orderId })).rejects.toMatchObject({
      code: 'unauthenticated',
    });
  });

  it.each([
    ['is not paid yet', () => undefined],
    ['ended before it was paid', (orderId: string) => payments.ask(ReturnPayment, { orderId })],
  ])('returns no payments to the owner of an order that %s, and 404 to other members', async (_, prepare) => {
    const [orderId, memberId] = [randomUUIDv7(), randomUUIDv7()];
    unpaid.set(orderId, memberId);
    await prepare(orderId);
    const list = (id: string) =>
      payments.ask(ListOrderPayments, { orderId }, { caller: { memberId: id, roles: [] } });
    await expect(list(memberId)).resolves.toEqual({ items: [], nextCursor: null });
    await expect(list(randomUUIDv7())).rejects.toMatchObject({
      code: 'not-found',
      status: 404,
      message: 'there is no such thing',
    });
  });

  describe('with a member whose payments are slow', () => {
    const slow = randomUUIDv7();
    let provider: PaymentProvider;
    let authorize: PaymentProvider['authorize'];
    let released = Promise.withResolvers<void>();
    let [active, maxActive] = [0, 0];
    const order = () => {
      const orderId = randomUUIDv7();
      const message = AuthorizePayment({ orderId, memberId: slow, amount: price, token: 'tok_flaky' });
      return payments.send(message).then(() => orderId);
    };

    beforeAll(() => {
      provider = payments.get(PaymentProvider as never);
      authorize = provider.authorize.bind(provider);
      provider.authorize = async (charge) => {
        if (charge.token !== 'tok_flaky') return authorize(charge);
        maxActive = Math.max(maxActive, ++active);
        await released.promise;
        active -= 1;
        return authorize({ ...charge, token: 'tok_ok' });
      };
    });
    afterAll(() => void (provider.authorize = authorize));

    it('defers the commands of that member above the limit, and loses none', async () => {
      const orders = await Promise.all(Array.from({ length: 8 }, order));
      await eventually(() => active === 4);
      released.resolve();
      await Promise.all(
        orders.map((orderId) => payments.waitForEvent(PaymentAuthorized, isAbout('orderId', orderId))),
      );
      await Promise.all(orders.map((orderId) => payments.send(CapturePayment({ orderId }))));
      await Promise.all(
        orders.map((orderId) => payments.waitForEvent(PaymentCaptured, isAbout('orderId', orderId))),
      );
      await Promise.all(orders.map((orderId) => payments.send(ReturnPayment({ orderId }))));
      await Promise.all(
        orders.map((orderId) => payments.waitForEvent(PaymentRefunded, isAbout('orderId', orderId))),
      );
      expect(maxActive).toBe(4);
    });

    it('handles payments of other members, however many orders wait', async () => {
      released = Promise.withResolvers();
      // More than twice as many as an instance handles at a time.
      await Promise.all(Array.from({ length: 150 }, order));
      const beganAt = performance.now();
      const other = await fixture.authorize();
      await payments.send(CapturePayment({ orderId: other }));
      await payments.waitForEvent(PaymentCaptured, isAbout('orderId', other));
      expect(performance.now() - beganAt).toBeLessThan(10_000);
      expect({ active, maxActive }).toEqual({ active: 4, maxActive: 4 });
      await payments.query('DELETE FROM outbox WHERE due_at IS NOT NULL');
      released.resolve();
      await eventually(async () => active === 0 && (await fixture.findInconsistencies()).length === 0);
    });
  });

  it('reports the sandbox in its health check', async () => {
    const health = (await (await fetch(`${payments.url}/health/ready`)).json()) as { details: object };
    expect(health.details).toMatchObject({ 'payment-provider': { status: 'up', simulated: true } });
  });

  it('rejects other processes of the machine at its sandbox', async () => {
    const sandbox = new Sandbox(payments.get(DataSource), payments.get(PaymentsSettings));
    const { url, token } = await sandbox.listen();
    const check = (authorization: string) =>
      fetch(`${url}/v1/token-checks`, {
        method: 'POST',
        headers: { authorization },
        body: JSON.stringify({ token: 'tok_ok' }),
      });
    expect((await check('Bearer of another')).status).toBe(401);
    expect((await check(`Bearer ${token}`)).status).toBe(204);
    await sandbox.onModuleDestroy();
  });

  it('never sends an amount of 0 to the provider', async () => {
    const before = await fixture.countCharges();
    const request = { orderId: randomUUIDv7(), memberId: randomUUIDv7(), token: 'tok_ok' };
    const amount = { amount: 0, currency: 'KRW' };
    await expect(payments.ask(AuthorizePayment, { ...request, amount })).rejects.toMatchObject({
      code: 'invalid',
      errors: [expect.objectContaining({ path: 'amount.amount' })],
    });
    await expect(fixture.countCharges()).resolves.toEqual(before);
  });
});
