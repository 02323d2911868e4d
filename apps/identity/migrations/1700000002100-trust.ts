import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Trust1700000002100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE sign_in_failures (
        key text PRIMARY KEY,
        failures int NOT NULL,
        until timestamptz NOT NULL
      );
      CREATE INDEX sign_in_failures_until ON sign_in_failures (until);

      CREATE TABLE known_address (
        member_id uuid NOT NULL REFERENCES member ON DELETE CASCADE,
        address text NOT NULL,
        last_seen timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (member_id, address)
      );

      CREATE TABLE audit_entry (
        audit_id uuid PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT now(),
        kind text NOT NULL,
        member_id uuid,
        by uuid,
        address text,
        details jsonb NOT NULL
      );
      CREATE INDEX audit_entry_member ON audit_entry (member_id, audit_id);
      CREATE INDEX audit_entry_at ON audit_entry (at);

      -- The start of existing sessions is unknown: they count as not recent.
      ALTER TABLE session ADD authenticated_at timestamptz NOT NULL DEFAULT to_timestamp(0);
      ALTER TABLE session ALTER authenticated_at DROP DEFAULT;

      ALTER TABLE signing_key ADD active_at timestamptz NOT NULL DEFAULT now();
      UPDATE signing_key SET active_at = created_at;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE signing_key DROP active_at;
      ALTER TABLE session DROP authenticated_at;
      DROP TABLE audit_entry, known_address, sign_in_failures;
    `);
  }
}
