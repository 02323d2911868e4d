import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Gives personal keys an id, which events store: after an erasure the same person can get another key, and the events with
 * the erased one stay unreadable. Events of the previous version have no id: they belong to the key that the person has
 * until the next erasure.
 */
export class PersonalKeyIds1700000000600 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE personal_key ADD COLUMN id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid();
      ALTER TABLE event ADD COLUMN personal_key_id uuid;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'ALTER TABLE event DROP COLUMN personal_key_id; ALTER TABLE personal_key DROP COLUMN id',
    );
  }
}
