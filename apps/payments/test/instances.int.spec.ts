import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUIDv7 } from 'node:crypto';
import {
  AuthorizePayment,
  CapturePayment,
  PaymentAuthorized,
  PaymentVoided,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { DatabaseSettings, PlatformSettings, start, type RunningService } from '@jogakbo/service';
import { eventually, type ServiceUnderTest } from '@jogakbo/testing';
import { PaymentsModule } from '../src/payments.module.ts';
import { about, price, Till } from './till.ts';

// Within one instance messages about an order never meet; between two they do.
describe('payments, two instances', () => {
  let till: Till;
  let payments: ServiceUnderTest;
  let second: RunningService;
  const patient = { PROVIDER_TIMEOUT: '5000', SANDBOX_DELAY: '700', RETRY_LADDER: '50,100,200,400,800,1600' };

  beforeAll(async () => {
    till = await Till.open(patient);
    payments = till.payments;
    second = await start(PaymentsModule, {
      environment: {
        ...patient,
        LOG_LEVEL: 'error',
        RABBITMQ_URL: payments.get(PlatformSettings).rabbitmqUrl,
        DATABASE_URL: payments.get(DatabaseSettings).databaseUrl,
      },
    });
  });
  afterAll(async () => {
    await second.stop();
    await payments.stop();
  });
  afterEach(async () => expect(await till.wrong()).toEqual([]));

  it('lets go of a charge whose order was returned while the provider was deciding', async () => {
    const orderId = await till.charge('tok_timeout');
    await eventually(async () => (await till.charges())['authorized'] === 1);
    // Whichever instance is waiting, the other gets one of these.
    for (let i = 0; i < 4; i++) await payments.send(ReturnPayment({ orderId }));
    await eventually(async () => (await till.charges())['voided'] === 1);
    await payments.hears(PaymentVoided, about(orderId));
    await eventually(async () => (await till.statusOf(orderId)) === 'voided');
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
    const statuses = async () => Promise.all(orders.map((orderId) => till.statusOf(orderId)));
    const over = ['voided', 'refunded', 'returned', 'declined'];
    await eventually(async () => (await statuses()).every((status) => over.includes(status ?? '')), 20_000);
    await eventually(
      async () => (await payments.query('SELECT FROM outbox WHERE published_at IS NULL')).length === 0,
    );
  });
});
