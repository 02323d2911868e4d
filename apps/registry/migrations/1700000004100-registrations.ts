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
    // Which of several contracts is the newest is decided by the start of its instances, not by their end.
    await runner.query('ALTER TABLE contract_version ADD COLUMN started_at timestamptz');
    await runner.query('UPDATE contract_version SET started_at = first_seen');
    await runner.query('ALTER TABLE contract_version ALTER COLUMN started_at SET NOT NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE contract_version DROP COLUMN started_at');
    await runner.query('DROP TABLE registration');
  }
}
