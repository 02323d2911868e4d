import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The inbox knows a message by its sender and its id: another sender that uses the same id takes nothing away from it.
 * Follows `Consistency1700000000000` in the list of every service.
 *
 * Rows without a sender are those of instances that run the version before. They stay duplicates for whoever sends the
 * id again. The trigger does the reverse for such an instance: it finds what a newer instance has handled. Both may go
 * 14 days (the inbox's retention) after the last instance of the version before has stopped.
 */
export class InboxSender1700000000100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE inbox ADD COLUMN sender text NOT NULL DEFAULT '';
      ALTER TABLE inbox DROP CONSTRAINT inbox_pkey, ADD PRIMARY KEY (key, sender);

      CREATE FUNCTION skip_handled_without_sender() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM inbox WHERE key = NEW.key) THEN RETURN NULL; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER skip_handled_without_sender BEFORE INSERT ON inbox
        FOR EACH ROW WHEN (NEW.sender = '') EXECUTE FUNCTION skip_handled_without_sender();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER skip_handled_without_sender ON inbox;
      DROP FUNCTION skip_handled_without_sender;
      DELETE FROM inbox AS one USING inbox AS other WHERE one.key = other.key AND one.sender > other.sender;
      ALTER TABLE inbox DROP CONSTRAINT inbox_pkey, ADD PRIMARY KEY (key);
      ALTER TABLE inbox DROP COLUMN sender;
    `);
  }
}
