import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What happened to payments moves into the event store; payments and ledger become a projection. */
export class PaymentsAsEvents1700000003000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      WITH happened AS (
        SELECT order_id, 1 AS step, CASE WHEN status IN ('declined', 'returned') THEN status ELSE 'authorized' END AS type,
          json_strip_nulls(json_build_object('memberId', member_id, 'reference', provider_reference, 'reason', reason,
            'amount', CASE WHEN amount IS NOT NULL
              THEN json_build_object('amount', amount, 'currency', currency) END)) AS data, created_at AS at
        FROM payment
        UNION ALL
        SELECT order_id, 2, CASE WHEN status = 'voided' THEN status ELSE 'captured' END, '{}',
          coalesce((SELECT min(at) FROM ledger_entry WHERE ledger_entry.payment_id = payment.payment_id), updated_at)
        FROM payment WHERE status IN ('captured', 'voided', 'refunded')
        UNION ALL
        SELECT order_id, 3, 'refunded', '{}', updated_at FROM payment WHERE status = 'refunded'
      )
      INSERT INTO event (stream, subject, version, type, data, at)
        SELECT 'payment', order_id, step, type, data, at FROM happened ORDER BY at, step;
      DROP TABLE ledger_entry, payment;
      DROP FUNCTION refuse_rewriting, refuse_unbalanced_posting;
    `);
  }

  async down(): Promise<void> {
    throw new Error('the event store is not given up again');
  }
}
