import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Stores when a repeated message was published first. Repetitions must end before receivers forget the message: see
 * `retention` of the outbox. NULL for messages that were never repeated.
 */
export class OutboxRepeats1700000000300 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE outbox ADD COLUMN first_published_at timestamptz;
      CREATE INDEX outbox_repeated ON outbox (first_published_at) WHERE first_published_at IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE outbox DROP COLUMN first_published_at');
  }
}
