import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Mail1700000003000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE member (
        member_id uuid PRIMARY KEY,
        email text NOT NULL,
        name text NOT NULL,
        language text NOT NULL
      );

      CREATE TABLE mail (
        mail_id uuid PRIMARY KEY,
        message_id text NOT NULL UNIQUE,
        "to" text NOT NULL,
        recipient text NOT NULL,
        subject text NOT NULL,
        text text NOT NULL,
        html text NOT NULL,
        kind text NOT NULL,
        about uuid,
        created_at timestamptz NOT NULL DEFAULT now(),
        sent_at timestamptz
      );
      CREATE INDEX mail_about ON mail (about) WHERE about IS NOT NULL;
      CREATE INDEX mail_unsent ON mail (created_at) WHERE sent_at IS NULL;

      CREATE TABLE mailbox (
        mailbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        mail_id uuid NOT NULL,
        message_id text NOT NULL,
        "to" text NOT NULL,
        content bytea NOT NULL,
        received_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX mailbox_to ON mailbox ("to", mailbox_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE mailbox, mail, member');
  }
}
