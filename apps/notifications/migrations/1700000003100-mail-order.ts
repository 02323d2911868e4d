import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Mails about one order are sent in the order in which they were written. */
export class MailOrder1700000003100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE mail ADD COLUMN position bigint GENERATED ALWAYS AS IDENTITY;
      CREATE INDEX mail_unsent_about ON mail (about, position) WHERE sent_at IS NULL AND about IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mail DROP COLUMN position');
  }
}
