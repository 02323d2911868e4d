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
import { about, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { PaymentProvider } from '../src/provider.ts';
import { Sandbox } from '../src/sandbox/sandbox.ts';
import { PaymentsSettings } from '../src/settings.ts';
import { price, Till } from './till.ts';

describe('payments', () => {
  let till: Till;
  let payments: ServiceUnderTest;
  /** The members of orders that only orders knows. */
  const unpaid = new Map<string, string>();

  beforeAll(async () => {
    till = await Till.open();
    payments = till.payments;
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
  afterEach(async () => expect(await till.wrong()).toEqual([]));

  it.each(['tok_ok', 'tok_flaky', 'tok_commit_then_drop', 'tok_timeout'])(
    'authorizes %s with one charge',
    async (token) => {
      const before = await till.charges();
      const orderId = await till.charge(token);
      const event = await payments.hears(PaymentAuthorized, about(orderId));
      expect(event.amount).toEqual(price);
      await expect(till.readStatus(orderId)).resolves.toBe('authorized');
      const authorized = (before['authorized'] ?? 0) + 1;
      await expect(till.charges()).resolves.toEqual({ ...before, authorized });
    },
  );

  it.each([
    ['tok_declined', 'card-declined'],
    ['tok_insufficient_funds', 'insufficient-funds'],
    ['tok_unheard_of', 'unknown-payment-token'],
    ['constructor', 'unknown-payment-token'],
  ])('declines %s: %s', async (token, reason) => {
    const orderId = await till.charge(token);
    await expect(payments.hears(PaymentDeclined, about(orderId))).resolves.toMatchObject({ reason });
    await expect(till.readStatus(orderId)).resolves.toBe('declined');
    await payments.ask(ReturnPayment, { orderId });
    await expect(till.readStatus(orderId)).resolves.toBe('declined');
    await expect(payments.ask(CapturePayment, { orderId })).rejects.toMatchObject({ code: 'internal' });
  });

  it('says which tokens can be paid with', async () => {
    await expect(payments.ask(CheckPaymentToken, { token: 'tok_timeout' })).resolves.toEqual({ known: true });
    await expect(payments.ask(CheckPaymentToken, { token: 'tok_nope' })).resolves.toEqual({ known: false });
  });

  it('charges once, however often it is asked, by the same message or by another', async () => {
    const before = await till.charges();
    const orderId = randomUUIDv7();
    const message = AuthorizePayment({ orderId, memberId: randomUUIDv7(), amount: price, token: 'tok_ok' });
    const messageId = randomUUIDv7();
    await Promise.all([1, 2, 3].map(() => payments.send(message, messageId)));
    await Promise.all([1, 2, 3].map(() => payments.send(message)));
    await payments.ask(CapturePayment, { orderId });
    await payments.ask(CapturePayment, { orderId });
    await payments.hears(PaymentCaptured, about(orderId));
    expect(payments.heard(PaymentAuthorized).filter(about(orderId))).toHaveLength(1);
    expect(payments.heard(PaymentCaptured).filter(about(orderId))).toHaveLength(1);
    await expect(till.charges()).resolves.toEqual({ ...before, captured: (before['captured'] ?? 0) + 1 });
  });

  it('books what it takes', async () => {
    const orderId = await till.captured();
    await expect(till.readEntries(orderId)).resolves.toEqual([
      { account: 'provider-receivable', amount: 42_000 },
      { account: 'sales', amount: -42_000 },
    ]);
  });

  it('gives back what it took, once', async () => {
    const orderId = await till.captured();
    for (let i = 0; i < 3; i++) await payments.send(ReturnPayment({ orderId }));
    await expect(payments.hears(PaymentRefunded, about(orderId))).resolves.toMatchObject({ amount: price });
    await payments.ask(CapturePayment, { orderId });
    await expect(till.readStatus(orderId)).resolves.toBe('refunded');
    await expect(till.readEntries(orderId)).resolves.toHaveLength(4);
    expect(payments.heard(PaymentRefunded).filter(about(orderId))).toHaveLength(1);
  });

  it('lets go of what it has not taken yet, and never takes it after', async () => {
    const orderId = await till.authorized();
    await payments.send(ReturnPayment({ orderId }));
    await payments.hears(PaymentVoided, about(orderId));
    await payments.ask(CapturePayment, { orderId });
    await expect(till.readStatus(orderId)).resolves.toBe('voided');
    await expect(till.readEntries(orderId)).resolves.toEqual([]);
  });

  it('waits with a capture for its authorization', async () => {
    const orderId = randomUUIDv7();
    await payments.send(CapturePayment({ orderId }));
    await till.charge('tok_ok', orderId);
    await payments.hears(PaymentCaptured, about(orderId));
  });

  it('keeps the books in balance, and as they were written', async () => {
    const orderId = await till.captured();
    const [payment] = await till.books<{ id: string }>(
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

  it('shows the payments of an order to its owner alone', async () => {
    const orderId = await till.captured();
    const [row] = await till.books<{ id: string }>(
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
    // The same words, whether orders knows the order, payments does, or neither.
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
  ])('shows the member that an order of his own %s, and others that there is none', async (_, happens) => {
    const [orderId, memberId] = [randomUUIDv7(), randomUUIDv7()];
    unpaid.set(orderId, memberId);
    await happens(orderId);
    const list = (who: string) =>
      payments.ask(ListOrderPayments, { orderId }, { caller: { memberId: who, roles: [] } });
    await expect(list(memberId)).resolves.toEqual({ items: [], nextCursor: null });
    await expect(list(randomUUIDv7())).rejects.toMatchObject({
      ...{ code: 'not-found', status: 404, message: 'there is no such thing' },
    });
  });

  describe('with a member whose provider is slow', () => {
    const slow = randomUUIDv7();
    let provider: PaymentProvider;
    let authorize: PaymentProvider['authorize'];
    let released = Promise.withResolvers<void>();
    let [underWay, most] = [0, 0];
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
        most = Math.max(most, ++underWay);
        await released.promise;
        underWay -= 1;
        return authorize({ ...charge, token: 'tok_ok' });
      };
    });
    afterAll(() => void (provider.authorize = authorize));

    it('defers what it has too much of, and loses none of it', async () => {
      const orders = await Promise.all(Array.from({ length: 8 }, order));
      await eventually(() => underWay === 4);
      released.resolve();
      await Promise.all(orders.map((orderId) => payments.hears(PaymentAuthorized, about(orderId))));
      await Promise.all(orders.map((orderId) => payments.send(CapturePayment({ orderId }))));
      await Promise.all(orders.map((orderId) => payments.hears(PaymentCaptured, about(orderId))));
      await Promise.all(orders.map((orderId) => payments.send(ReturnPayment({ orderId }))));
      await Promise.all(orders.map((orderId) => payments.hears(PaymentRefunded, about(orderId))));
      expect(most).toBe(4);
    });

    it('takes the money of others meanwhile, however many orders wait', async () => {
      released = Promise.withResolvers();
      // More than twice what an instance takes at once.
      await Promise.all(Array.from({ length: 150 }, order));
      const beganAt = performance.now();
      const other = await till.authorized();
      await payments.send(CapturePayment({ orderId: other }));
      await payments.hears(PaymentCaptured, about(other));
      expect(performance.now() - beganAt).toBeLessThan(10_000);
      expect({ underWay, most }).toEqual({ underWay: 4, most: 4 });
      await payments.query('DELETE FROM outbox WHERE due_at IS NOT NULL');
      released.resolve();
      await eventually(async () => underWay === 0 && (await till.wrong()).length === 0);
    });
  });

  it('shows that it sells with the sandbox', async () => {
    const health = (await (await fetch(`${payments.url}/health/ready`)).json()) as { details: object };
    expect(health.details).toMatchObject({ 'payment-provider': { status: 'up', simulated: true } });
  });

  it('lets no other process of the machine use its sandbox', async () => {
    const sandbox = new Sandbox(payments.get(DataSource), payments.get(PaymentsSettings));
    const { url, token } = await sandbox.listen();
    const check = (authorization: string) =>
      fetch(`${url}/v1/token-checks`, {
        ...{ method: 'POST', headers: { authorization }, body: JSON.stringify({ token: 'tok_ok' }) },
      });
    expect((await check('Bearer of another')).status).toBe(401);
    expect((await check(`Bearer ${token}`)).status).toBe(204);
    await sandbox.onModuleDestroy();
  });

  it('never asks the provider for 0', async () => {
    const before = await till.charges();
    const request = { orderId: randomUUIDv7(), memberId: randomUUIDv7(), token: 'tok_ok' };
    const amount = { amount: 0, currency: 'KRW' };
    await expect(payments.ask(AuthorizePayment, { ...request, amount })).rejects.toMatchObject({
      code: 'invalid',
      errors: [expect.objectContaining({ path: 'amount.amount' })],
    });
    await expect(till.charges()).resolves.toEqual(before);
  });
});
