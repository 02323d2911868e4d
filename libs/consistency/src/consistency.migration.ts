import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The tables of unit of work, outbox, inbox and sagas. See `consistencyMigrations`. */
export class Consistency1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        message_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('event', 'command')),
        name text NOT NULL,
        subject text,
        data json NOT NULL,
        headers json NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        due_at timestamptz,
        published_at timestamptz
      );
      CREATE INDEX outbox_open ON outbox (id) WHERE published_at IS NULL AND due_at IS NULL;
      CREATE INDEX outbox_due ON outbox (due_at) WHERE published_at IS NULL AND due_at IS NOT NULL;
      CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

      CREATE TABLE inbox (
        key text PRIMARY KEY,
        fingerprint text,
        answer json,
        received_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX inbox_age ON inbox (received_at);

      CREATE TABLE saga (
        name text NOT NULL,
        key text NOT NULL,
        state json NOT NULL,
        history json NOT NULL DEFAULT '[]',
        due_at timestamptz,
        ended_at timestamptz,
        PRIMARY KEY (name, key)
      );
      CREATE INDEX saga_due ON saga (due_at) WHERE due_at IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE saga, inbox, outbox');
  }
}
