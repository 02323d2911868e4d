import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  aggregate,
  consistencyMigrations,
  eventStoreMigrations,
  projection,
  Projector,
  requestRebuild,
} from '@jogakbo/consistency';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource, type QueryRunner } from 'typeorm';
import { eventually, createPrivateDatabase, type Private } from '@jogakbo/testing';

// Errors of read models are expected here: no logs.
Logger.overrideLogger(false);

interface ProjectionRow {
  shape: number;
  generation: number;
  position: string;
  next_generation: number | null;
  fault: string | null;
}

const thing = aggregate<{ count: number }, { type: 'counted' }>('thing', {
  evolve: (state) => ({ count: (state?.count ?? 0) + 1 }),
});

/** The projection `counts` of one version of a service: each shape counts in its own column. */
const createCounts = (shape: number, name = 'counts') =>
  projection(
    name,
    shape,
    `CREATE TABLE ${name}_row (id text PRIMARY KEY, of_shape_${shape} integer NOT NULL)`,
  ).of(thing, async (tx, { id }) => {
    await tx.query(
      `INSERT INTO ${name}_row AS old VALUES ($1, 1)
       ON CONFLICT (id) DO UPDATE SET of_shape_${shape} = old.of_shape_${shape} + 1`,
      [id],
    );
  });

describe('the projector', () => {
  let database: Private;
  let source: DataSource;
  let running: Projector[];

  beforeEach(async () => {
    database = await createPrivateDatabase();
    source = new DataSource({
      ...{ type: 'postgres', url: database.url, extra: { pipeline: true } },
      migrations: [...consistencyMigrations, ...eventStoreMigrations],
      migrationsTransactionMode: 'each',
    });
    await source.initialize();
    await source.runMigrations();
    running = [];
  });
  afterEach(async () => {
    await Promise.all(running.map((projector) => projector.stop()));
    await source.destroy();
    await database.drop();
  });

  /** One instance of a service. */
  async function startInstance(...projections: ReturnType<typeof createCounts>[]): Promise<Projector> {
    const projector = new Projector(projections, source, database.url);
    await projector.prepare();
    projector.start();
    running.push(projector);
    return projector;
  }
  const appendEvents = (times: number, id = 'a') =>
    source.query(
      `INSERT INTO event (stream, subject, version, type, data)
       SELECT 'thing', $1, (SELECT coalesce(max(version), 0) FROM event WHERE subject = $1) + n, 'counted', '{}'
       FROM generate_series(1, $2::int) AS n`,
      [id, times],
    );
  const readProjection = async (name = 'counts') =>
    (await source.query('SELECT * FROM projection WHERE name = $1', [name]))[0] as ProjectionRow;
  const readRows = () => source.query('SELECT * FROM counts_row ORDER BY id') as Promise<object[]>;
  /** Locks the table of projections: writers wait, readers do not. */
  async function lockProjections(): Promise<QueryRunner> {
    const other = source.createQueryRunner();
    await other.query('BEGIN');
    await other.query('LOCK TABLE projection IN EXCLUSIVE MODE');
    return other;
  }
  /** Waits until a session is blocked by a lock. */
  const waitForBlockedSession = () =>
    eventually(
      async () =>
        (
          await source.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          )
        ).length > 0,
    );

  it('maintains each shape only in instances that know it', async () => {
    const old = await startInstance(createCounts(1));
    await appendEvents(3);
    await old.waitUntilCurrent('counts', 5_000);
    const young = await startInstance(createCounts(2));
    await appendEvents(1);
    await old.waitUntilCurrent('counts', 5_000);
    // Time in which the young instance could change the rows.
    await sleep(700);
    expect(await readRows()).toEqual([{ id: 'a', of_shape_1: 4 }]);
    await old.stop();
    await eventually(async () => (await readProjection()).shape === 2);
    expect(await readRows()).toEqual([{ id: 'a', of_shape_2: 4 }]);
    await appendEvents(1);
    await young.waitUntilCurrent('counts', 5_000);
    expect(await readRows()).toEqual([{ id: 'a', of_shape_2: 5 }]);

    // Roll-back: instances of the old version rebuild the shape that they know.
    await startInstance(createCounts(1));
    await young.stop();
    await eventually(async () => (await readProjection()).shape === 1);
    expect(await readRows()).toEqual([{ id: 'a', of_shape_1: 5 }]);
    expect(await readProjection()).toMatchObject({ next_generation: null, fault: null });
  });

  it('never moves a position back that another leader has advanced', async () => {
    await startInstance(createCounts(1));
    const other = await lockProjections();
    await appendEvents(2);
    await waitForBlockedSession();
    await other.query('UPDATE projection SET position = 1000000');
    await other.query('COMMIT');
    await other.release();
    await sleep(500);
    expect(await readProjection()).toMatchObject({ position: '1000000', fault: null });
  });

  it('does not repeat a rebuild that another instance has finished', async () => {
    await startInstance(createCounts(1));
    const first = await lockProjections();
    const asked = requestRebuild(source, 'counts');
    await waitForBlockedSession();
    const second = lockProjections();
    await sleep(100);
    await first.query('COMMIT');
    await first.release();
    await asked;
    const other = await second;
    await waitForBlockedSession();
    await other.query('UPDATE projection SET next_generation = NULL, next_shape = NULL');
    await other.query('COMMIT');
    await other.release();
    await sleep(500);
    expect(await readProjection()).toMatchObject({ generation: 1, fault: null });
    await expect(
      source.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'counts%'`),
    ).resolves.toEqual([{ nspname: 'counts_1' }]);
  });

  it('is repaired by a rebuild, which clears its fault', async () => {
    const projector = await startInstance(createCounts(1));
    await appendEvents(3);
    await projector.waitUntilCurrent('counts', 5_000);
    await source.query('DROP TABLE counts_1.counts_row CASCADE');
    await appendEvents(1);
    await eventually(async () => (await readProjection()).fault?.includes('counts_row'));
    await requestRebuild(source, 'counts');
    expect((await readProjection()).fault).toBeNull();
    await eventually(async () => (await readProjection()).generation === 2, 5_000);
    expect(await readRows()).toEqual([{ id: 'a', of_shape_1: 4 }]);
    await appendEvents(1);
    await projector.waitUntilCurrent('counts', 5_000);
    expect(await readProjection()).toMatchObject({ fault: null, next_generation: null });
    expect(await readRows()).toEqual([{ id: 'a', of_shape_1: 5 }]);
  });

  it('sends few queries while idle and while it waits for a transaction', async () => {
    const projector = await startInstance(createCounts(1), createCounts(1, 'more'), createCounts(1, 'most'));
    await appendEvents(1);
    await projector.waitUntilCurrent('most', 5_000);
    await sleep(300);
    const query = jest.spyOn(pg.Client.prototype, 'query');
    await sleep(1_000);
    // One query every 200 ms, regardless of the number of read models.
    const idle = query.mock.calls.length;
    const late = source.createQueryRunner();
    await late.startTransaction();
    await late.query(
      `INSERT INTO event (stream, subject, version, type, data) VALUES ('thing', 'late', 1, 'counted', '{}')`,
    );
    await appendEvents(1);
    await sleep(500);
    query.mockClear();
    await sleep(1_000);
    const waiting = query.mock.calls.length;
    query.mockRestore();
    await late.commitTransaction();
    await late.release();
    await projector.waitUntilCurrent('counts', 5_000);
    expect(await readRows()).toHaveLength(2);
    expect(idle).toBeGreaterThan(0);
    expect(idle).toBeLessThanOrEqual(6);
    expect(waiting).toBeLessThanOrEqual(15);
  });

  it('applies all events after the database went back to an earlier state', async () => {
    const projector = await startInstance(createCounts(1));
    await appendEvents(5);
    await projector.waitUntilCurrent('counts', 5_000);
    // A failover to a replica that lacks the last three events, as the service sees it: its connection ends.
    await source.query('DELETE FROM event WHERE position > 2');
    await source.query(`SELECT setval('event_position_seq', 2)`);
    await source.query(`UPDATE projection SET position = 2`);
    await source.query('UPDATE counts_row SET of_shape_1 = 2');
    await source.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'projector'`,
    );
    await sleep(1_500);
    expect(await readProjection()).toMatchObject({ position: '2' });
    await appendEvents(1);
    await projector.waitUntilCurrent('counts', 5_000);
    expect(await readRows()).toEqual([{ id: 'a', of_shape_1: 3 }]);
  });

  it('drops a generation that an ended instance has left behind, and no other', async () => {
    await source.query('CREATE SCHEMA counts_1; CREATE SCHEMA counts_1_1; CREATE SCHEMA counts_old');
    await source.query(
      `INSERT INTO projection (name, shape, generation) VALUES ('counts', 1, 2);
       CREATE SCHEMA counts_2; CREATE TABLE counts_2.counts_row (id text PRIMARY KEY, of_shape_1 integer)`,
    );
    await startInstance(createCounts(1));
    const listSchemas = async () =>
      (
        (await source.query(
          `SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'counts%' ORDER BY 1`,
        )) as { name: string }[]
      ).map(({ name }) => name);
    await eventually(async () => !(await listSchemas()).includes('counts_1'));
    expect(await listSchemas()).toEqual(['counts_1_1', 'counts_2', 'counts_old']);
    expect(await readProjection()).toMatchObject({ generation: 2, fault: null });
  });
});
