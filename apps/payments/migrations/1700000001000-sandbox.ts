import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The charges of the sandbox provider. Payments are stored as events, and the ledger is a projection of them. */
export class Sandbox1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sandbox_charge (
        idempotency_key text PRIMARY KEY,
        reference text NOT NULL UNIQUE,
        status text NOT NULL
          CHECK (status IN ('pending', 'authorized', 'declined', 'captured', 'voided', 'refunded')),
        reason text,
        -- NULL where the key was cancelled before it was charged
        amount bigint,
        currency text,
        calls integer NOT NULL DEFAULT 1,
        decided_at timestamptz NOT NULL DEFAULT now()
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sandbox_charge');
  }
}
