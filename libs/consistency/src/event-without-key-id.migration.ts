import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * An index for `erase`, which looks for the events of a person without a key id. Only instances of the version before
 * PersonalKeyIds1700000000600 write such events, so it stays small.
 */
export class EventWithoutKeyId1700000000700 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX event_without_key_id ON event (person) WHERE person IS NOT NULL AND personal_key_id IS NULL
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX event_without_key_id');
  }
}
