import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Adds the sender to the primary key of the inbox: the same id from another sender is another message.
 *
 * Instances of the previous version write rows without a sender, which mark the id as handled for all senders. The
 * trigger skips such a row if a newer instance has handled the id for any sender. Both can be
 * removed 14 days (the inbox's retention) after the last instance of the previous version has stopped.
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
