import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Registrations1700000004100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE registration (
        app text PRIMARY KEY,
        secret_hash text NOT NULL,
        routes text[] NOT NULL,
        networks text[] NOT NULL,
        changed_by text NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now()
      )
    `);
    // The newest contract is the one whose instances started last, not the one seen last.
    await runner.query('ALTER TABLE contract_version ADD COLUMN started_at timestamptz');
    await runner.query('UPDATE contract_version SET started_at = first_seen');
    await runner.query('ALTER TABLE contract_version ALTER COLUMN started_at SET NOT NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE contract_version DROP COLUMN started_at');
    await runner.query('DROP TABLE registration');
  }
}
