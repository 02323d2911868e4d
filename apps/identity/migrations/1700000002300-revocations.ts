import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Revocations1700000002300 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE member ADD token_generation int NOT NULL DEFAULT 0;

      CREATE TABLE revocation (
        revocation_id uuid PRIMARY KEY,
        member_id uuid NOT NULL,
        session_id uuid,
        generation int,
        until timestamptz NOT NULL
      );
      CREATE INDEX revocation_until ON revocation (until);

      ALTER TABLE session
        ADD ends_at timestamptz NOT NULL DEFAULT now() + interval '90 days',
        -- Two random UUIDs, different for each row.
        ADD rotation_key bytea NOT NULL
          DEFAULT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
      ALTER TABLE session ALTER ends_at DROP DEFAULT, ALTER rotation_key DROP DEFAULT;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE session DROP rotation_key, DROP ends_at;
      DROP TABLE revocation;
      ALTER TABLE member DROP token_generation;
    `);
  }
}
