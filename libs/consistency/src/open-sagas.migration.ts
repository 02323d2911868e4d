import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Makes it cheap to find the sagas that have not ended: they are few among all. */
export class OpenSagas1700000000400 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE INDEX saga_open ON saga (name) WHERE ended_at IS NULL');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX saga_open');
  }
}
