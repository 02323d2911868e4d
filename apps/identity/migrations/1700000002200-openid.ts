import type { MigrationInterface, QueryRunner } from 'typeorm';

export class OpenId1700000002200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE openid_record (
        model text NOT NULL,
        id text NOT NULL,
        payload jsonb NOT NULL,
        account_id text GENERATED ALWAYS AS (payload->>'accountId') STORED,
        grant_id text GENERATED ALWAYS AS (payload->>'grantId') STORED,
        uid text GENERATED ALWAYS AS (payload->>'uid') STORED,
        expires_at timestamptz NOT NULL,
        consumed_at timestamptz,
        PRIMARY KEY (model, id)
      );
      CREATE INDEX openid_record_account ON openid_record (account_id);
      CREATE INDEX openid_record_grant ON openid_record (grant_id);
      CREATE INDEX openid_record_uid ON openid_record (uid);
      CREATE INDEX openid_record_expiry ON openid_record (expires_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE openid_record');
  }
}
