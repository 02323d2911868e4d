import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Notes1700000010000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE note (
        note_id uuid PRIMARY KEY,
        member_id uuid NOT NULL,
        text text NOT NULL,
        added_at timestamptz NOT NULL
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE note');
  }
}
