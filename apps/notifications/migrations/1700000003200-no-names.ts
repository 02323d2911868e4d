import type { MigrationInterface, QueryRunner } from 'typeorm';

/** No mail contains the name of a member, so it is not stored. */
export class NoNames1700000003200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE mail DROP recipient; ALTER TABLE member DROP name');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE member ADD name text NOT NULL DEFAULT '';
      ALTER TABLE mail ADD recipient text NOT NULL DEFAULT '';
    `);
  }
}
