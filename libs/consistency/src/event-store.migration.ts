import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tables of aggregates and projections. `stream` is the name of the aggregate for events of this service, and the name
 * of the other service for its events, which have no version. `subject` is the id of the aggregate.
 */
export class EventStore1700000000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE event (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stream text NOT NULL,
        subject text NOT NULL,
        -- NULL for events of other services, which have no version here.
        version integer,
        type text NOT NULL,
        revision integer NOT NULL DEFAULT 1,
        data json NOT NULL,
        -- The person whose key encrypts the personal fields; NULL without such fields.
        person text,
        at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (stream, subject, version)
      );

      CREATE TABLE snapshot (
        stream text NOT NULL,
        subject text NOT NULL,
        version integer NOT NULL,
        shape integer NOT NULL,
        state json NOT NULL,
        PRIMARY KEY (stream, subject)
      );

      CREATE TABLE personal_key (
        person text PRIMARY KEY,
        key bytea NOT NULL
      );

      CREATE TABLE projection (
        name text PRIMARY KEY,
        shape integer NOT NULL,
        generation integer NOT NULL,
        position bigint NOT NULL DEFAULT 0,
        -- The generation that is being built beside the current one; NULL for none.
        next_generation integer,
        next_position bigint NOT NULL DEFAULT 0,
        -- The shape of that generation. Versions of the service with another shape do not build it.
        next_shape integer,
        fault text
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE projection, personal_key, snapshot, event');
  }
}
