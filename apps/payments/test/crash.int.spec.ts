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
import { isAbout, eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { PaymentsFixture } from './till.ts';

describe('payments after a crash', () => {
  let fixture: PaymentsFixture;
  let payments: ServiceUnderTest;

  beforeAll(async () => {
    // Retry delays long enough to repair the database between two attempts.
    fixture = await PaymentsFixture.start({ RETRY_DELAYS: '50,300,1000,2000,4000,8000' });
    payments = fixture.payments;
  });
  afterAll(() => payments.stop());
  afterEach(async () => expect(await fixture.findInconsistencies()).toEqual([]));

  /** Makes commits fail after the provider call, as a crash between the two would. */
  const breakDatabase = () =>
    payments.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no disk'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()`);
  const repairDatabase = () => payments.query('DROP FUNCTION refuse CASCADE');
  const waitForCharges = (status: string, count: number) =>
    eventually(async () => ((await fixture.countCharges())[status] ?? 0) === count);

  it('reuses its charge after a crash between the decision and the commit', async () => {
    const before = (await fixture.countCharges())['authorized'] ?? 0;
    await breakDatabase();
    const orderId = await fixture.sendAuthorization('tok_ok');
    await waitForCharges('authorized', before + 1);
    await expect(fixture.readStatus(orderId)).resolves.toBeUndefined();
    await payments.restart();
    await repairDatabase();
    await payments.waitForEvent(PaymentAuthorized, isAbout('orderId', orderId));
    await waitForCharges('authorized', before + 1);
  });

  it('captures and refunds once despite the same crash', async () => {
    const orderId = await fixture.authorize();
    const before = await fixture.countCharges();
    await breakDatabase();
    await payments.send(CapturePayment({ orderId }));
    await waitForCharges('captured', (before['captured'] ?? 0) + 1);
    await payments.restart();
    await repairDatabase();
    await payments.waitForEvent(PaymentCaptured, isAbout('orderId', orderId));

    await breakDatabase();
    await payments.send(ReturnPayment({ orderId }));
    await waitForCharges('refunded', (before['refunded'] ?? 0) + 1);
    await payments.restart();
    await repairDatabase();
    await payments.waitForEvent(PaymentRefunded, isAbout('orderId', orderId));
    await expect(fixture.readEntries(orderId)).resolves.toHaveLength(4);
  });

  it('charges once despite a restart during the provider call', async () => {
    const before = (await fixture.countCharges())['authorized'] ?? 0;
    const orderId = await fixture.sendAuthorization('tok_timeout');
    await waitForCharges('authorized', before + 1);
    await payments.restart();
    await payments.waitForEvent(PaymentAuthorized, isAbout('orderId', orderId));
    await waitForCharges('authorized', before + 1);
  });

  it('voids a charge that it never recorded when the order is returned', async () => {
    const before = await fixture.countCharges();
    await breakDatabase();
    const orderId = await fixture.sendAuthorization('tok_ok');
    await waitForCharges('authorized', (before['authorized'] ?? 0) + 1);
    await repairDatabase();
    await payments.ask(ReturnPayment, { orderId });
    await waitForCharges('authorized', before['authorized'] ?? 0);
    await expect(fixture.readStatus(orderId)).resolves.toMatch(/^(returned|voided)$/);
  });

  it('authorizes nothing for an order that was already returned', async () => {
    const orderId = randomUUIDv7();
    await payments.ask(ReturnPayment, { orderId });
    const before = await fixture.countCharges();
    await fixture.sendAuthorization('tok_ok', orderId);
    await payments.ask(CapturePayment, { orderId });
    await payments.ask(ReturnPayment, { orderId });
    await expect(fixture.readStatus(orderId)).resolves.toBe('returned');
    await expect(fixture.countCharges()).resolves.toEqual(before);
    await expect(
      payments.query('SELECT calls FROM sandbox_charge ORDER BY decided_at DESC LIMIT 1'),
    ).resolves.toEqual([{ calls: 1 }]);
    expect(payments.getPublishedEvents(PaymentAuthorized).filter(isAbout('orderId', orderId))).toEqual([]);
    expect(payments.getPublishedEvents(PaymentDeclined).filter(isAbout('orderId', orderId))).toEqual([]);
  });
});
