import { randomUUIDv7 } from 'node:crypto';
import { Projector } from '@jogakbo/consistency';
import {
  AuthorizePayment,
  CapturePayment,
  PaymentAuthorized,
  PaymentCaptured,
} from '@jogakbo/contracts-payments';
import { isAbout, ServiceUnderTest } from '@jogakbo/testing';
import { PaymentsModule } from '../src/payments.module.ts';

export const price = { amount: 42_000, currency: 'KRW' };

/** The service under test with its sandbox provider. */
export class PaymentsFixture {
  private constructor(readonly payments: ServiceUnderTest) {}

  /** `tok_timeout` takes longer than all attempts of one message together. */
  static async start(environment: NodeJS.ProcessEnv = {}): Promise<PaymentsFixture> {
    const shortTimeouts = { PROVIDER_TIMEOUT: '200', SANDBOX_DELAY: '1200' };
    return new PaymentsFixture(
      await ServiceUnderTest.start(PaymentsModule, { ...shortTimeouts, ...environment }),
    );
  }

  /** Sends an authorization without waiting for the result. */
  async sendAuthorization(token: string, orderId: string = randomUUIDv7()): Promise<string> {
    await this.payments.send(AuthorizePayment({ orderId, memberId: randomUUIDv7(), amount: price, token }));
    return orderId;
  }

  async authorize(): Promise<string> {
    const orderId = await this.sendAuthorization('tok_ok');
    await this.payments.waitForEvent(PaymentAuthorized, isAbout('orderId', orderId));
    return orderId;
  }

  async capture(): Promise<string> {
    const orderId = await this.authorize();
    await this.payments.send(CapturePayment({ orderId }));
    await this.payments.waitForEvent(PaymentCaptured, isAbout('orderId', orderId));
    return orderId;
  }

  /** Queries the ledger once it has caught up with the log. */
  async queryLedger<T>(sql: string, parameters: unknown[] = []): Promise<T[]> {
    if (!(await this.payments.get(Projector).waitUntilCurrent('ledger', 5_000)))
      throw new Error('the ledger has not caught up within 5 seconds');
    return this.payments.query<T>(sql, parameters);
  }

  async readStatus(orderId: string): Promise<string | undefined> {
    const [row] = await this.queryLedger<{ status: string }>(
      'SELECT status FROM payment WHERE order_id = $1',
      [orderId],
    );
    return row?.status;
  }

  async readEntries(orderId: string): Promise<unknown[]> {
    return this.queryLedger(
      'SELECT account, amount::int FROM ledger_entry WHERE order_id = $1 ORDER BY transaction, account',
      [orderId],
    );
  }

  /** Counts the charges of the sandbox by status. */
  async countCharges(): Promise<Record<string, number>> {
    const rows = await this.payments.query<{ status: string; count: number }>(
      'SELECT status, count(*)::int FROM sandbox_charge GROUP BY status',
    );
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]));
  }

  /** Finds contradictions within the ledger, and between ledger, payments and provider. */
  async findInconsistencies(): Promise<unknown[]> {
    const queries = [
      `SELECT 'ledger' AS where, sum(amount) FROM ledger_entry GROUP BY currency HAVING sum(amount) <> 0`,
      `SELECT 'provider' AS where, payment.status, charge.status AS there, charge.amount
       FROM payment LEFT JOIN sandbox_charge AS charge ON idempotency_key = payment_id::text
       WHERE CASE payment.status WHEN 'returned' THEN coalesce(charge.status, 'none') NOT IN ('voided', 'declined')
                                 ELSE coalesce(charge.status, 'declined') <> payment.status END
          OR charge.amount <> payment.amount`,
      `SELECT 'a charge without a payment' AS where, idempotency_key FROM sandbox_charge
       WHERE NOT EXISTS (SELECT FROM payment WHERE payment_id::text = idempotency_key)`,
      `SELECT 'sales' AS where, payment.order_id, status, earned FROM payment
       LEFT JOIN (SELECT payment_id, -sum(amount) AS earned, count(*) AS entries
                  FROM ledger_entry WHERE account = 'sales' GROUP BY payment_id) AS sales USING (payment_id)
       WHERE coalesce(earned, 0) <> CASE status WHEN 'captured' THEN amount ELSE 0 END
          OR coalesce(entries, 0) <> CASE WHEN amount = 0 THEN 0 WHEN status = 'captured' THEN 1
                                      WHEN status = 'refunded' THEN 2 ELSE 0 END`,
    ];
    return (await Promise.all(queries.map((sql) => this.queryLedger(sql)))).flat();
  }
}
