import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import {
  CapturePayment,
  PaymentAuthorized,
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { about, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { Till } from './till.ts';

describe('payments, cut off in the middle', () => {
  let till: Till;
  let payments: ServiceUnderTest;

  beforeAll(async () => {
    // Long enough to repair the database between two attempts.
    till = await Till.open({ RETRY_LADDER: '50,300,1000,2000,4000,8000' });
    payments = till.payments;
  });
  afterAll(() => payments.stop());
  afterEach(async () => expect(await till.wrong()).toEqual([]));

  /** Lets the provider decide, and refuses to write it down: what a crash between the two leaves behind. */
  const breakDatabase = () =>
    payments.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no disk'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()`);
  const repairDatabase = () => payments.query('DROP FUNCTION refuse CASCADE');
  const thereIs = (status: string, count: number) =>
    eventually(async () => ((await till.charges())[status] ?? 0) === count);

  it('finds its charge again after a crash between the decision and the commit', async () => {
    const before = (await till.charges())['authorized'] ?? 0;
    await breakDatabase();
    const orderId = await till.charge('tok_ok');
    await thereIs('authorized', before + 1);
    await expect(till.readStatus(orderId)).resolves.toBeUndefined();
    await payments.restart();
    await repairDatabase();
    await payments.hears(PaymentAuthorized, about(orderId));
    await thereIs('authorized', before + 1);
  });

  it('captures and refunds once across the same crash', async () => {
    const orderId = await till.authorized();
    const before = await till.charges();
    await breakDatabase();
    await payments.send(CapturePayment({ orderId }));
    await thereIs('captured', (before['captured'] ?? 0) + 1);
    await payments.restart();
    await repairDatabase();
    await payments.hears(PaymentCaptured, about(orderId));

    await breakDatabase();
    await payments.send(ReturnPayment({ orderId }));
    await thereIs('refunded', (before['refunded'] ?? 0) + 1);
    await payments.restart();
    await repairDatabase();
    await payments.hears(PaymentRefunded, about(orderId));
    await expect(till.readEntries(orderId)).resolves.toHaveLength(4);
  });

  it('charges once though it is restarted while the provider thinks', async () => {
    const before = (await till.charges())['authorized'] ?? 0;
    const orderId = await till.charge('tok_timeout');
    await thereIs('authorized', before + 1);
    await payments.restart();
    await payments.hears(PaymentAuthorized, about(orderId));
    await thereIs('authorized', before + 1);
  });

  it('lets go of a charge that it never learned of, when the order is returned', async () => {
    const before = await till.charges();
    await breakDatabase();
    const orderId = await till.charge('tok_ok');
    await thereIs('authorized', (before['authorized'] ?? 0) + 1);
    await repairDatabase();
    await payments.ask(ReturnPayment, { orderId });
    await thereIs('authorized', before['authorized'] ?? 0);
    await expect(till.readStatus(orderId)).resolves.toMatch(/^(returned|voided)$/);
  });

  it('authorizes nothing for an order that was returned before', async () => {
    const orderId = randomUUIDv7();
    await payments.ask(ReturnPayment, { orderId });
    const before = await till.charges();
    await till.charge('tok_ok', orderId);
    await payments.ask(CapturePayment, { orderId });
    await payments.ask(ReturnPayment, { orderId });
    await expect(till.readStatus(orderId)).resolves.toBe('returned');
    await expect(till.charges()).resolves.toEqual(before);
    await expect(
      payments.query('SELECT calls FROM sandbox_charge ORDER BY decided_at DESC LIMIT 1'),
    ).resolves.toEqual([{ calls: 1 }]);
    expect(payments.heard(PaymentAuthorized).filter(about(orderId))).toEqual([]);
    expect(payments.heard(PaymentDeclined).filter(about(orderId))).toEqual([]);
  });
});
