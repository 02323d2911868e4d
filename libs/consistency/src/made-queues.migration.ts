import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tables of `RecreatedQueues` (receiver) and `QueueRecovery` (sender). */
export class MadeQueues1700000000200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE made_queue (
        queue text PRIMARY KEY,
        id text NOT NULL,
        takes text[] NOT NULL,
        made_at timestamptz
      );
      CREATE TABLE recovered_queue (
        service text,
        id text,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (service, id)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE made_queue, recovered_queue');
  }
}
