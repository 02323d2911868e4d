import type { MigrationInterface, QueryRunner } from 'typeorm';

export class ConfigVersions1700000004000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE config_version (
        application text NOT NULL,
        profile text NOT NULL,
        label text NOT NULL,
        version integer NOT NULL,
        settings jsonb NOT NULL,
        reason text NOT NULL,
        changed_by text NOT NULL,
        changed_at timestamptz NOT NULL,
        restores integer,
        PRIMARY KEY (application, profile, label, version)
      );
      CREATE FUNCTION refuse_to_forget() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'a version is never changed and never deleted'; END $$;
      CREATE TRIGGER config_version_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON config_version
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_forget();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE config_version; DROP FUNCTION refuse_to_forget()');
  }
}
