import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The tables behind aggregates and projections. Services that keep either list it after `Consistency…`. */
export class EventStore1700000000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE event (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stream text NOT NULL,
        subject text NOT NULL,
        -- NULL for what another service announced: it has no place in a stream of this one.
        version integer,
        type text NOT NULL,
        revision integer NOT NULL DEFAULT 1,
        data json NOT NULL,
        -- Whose key closes what is personal in it; NULL where nothing is.
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
        -- The generation that is being built beside the one in use; NULL where none is.
        next_generation integer,
        next_position bigint NOT NULL DEFAULT 0,
        -- Which version of the service can build it: one that knows another shape leaves it alone.
        next_shape integer,
        fault text
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE projection, personal_key, snapshot, event');
  }
}
