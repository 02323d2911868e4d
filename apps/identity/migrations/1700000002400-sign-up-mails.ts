import type { MigrationInterface, QueryRunner } from 'typeorm';

export class SignUpMails1700000002400 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sign_up_mails (
        key text PRIMARY KEY,
        sign_ups int NOT NULL,
        until timestamptz NOT NULL
      );
      CREATE INDEX sign_up_mails_until ON sign_up_mails (until);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE sign_up_mails');
  }
}
