import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ContractVersions1700000004000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE contract_version (
        service text NOT NULL,
        version text NOT NULL,
        hash text NOT NULL,
        upstream text NOT NULL CHECK (upstream IN ('bus', 'http')),
        contract jsonb NOT NULL,
        first_seen timestamptz NOT NULL DEFAULT now(),
        last_seen timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (service, version, hash)
      )
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE contract_version');
  }
}
