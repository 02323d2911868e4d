import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  aggregate,
  Consistency1700000000000,
  InboxSender1700000000100,
  EventStore1700000000500,
  projection,
  Projector,
  requestRebuild,
} from '@jogakbo/consistency';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource, type QueryRunner } from 'typeorm';
import { eventually, privateDatabase, type Private } from '../src/index.ts';

// A read model that cannot be kept says so; here that is meant.
Logger.overrideLogger(false);

interface Place {
  shape: number;
  generation: number;
  position: string;
  next_generation: number | null;
  fault: string | null;
}

const thing = aggregate<{ count: number }, { type: 'counted' }>('thing', {
  evolve: (state) => ({ count: (state?.count ?? 0) + 1 }),
});

/** What each version of a service would call `counts`: of a later shape it counts in another column. */
const counts = (shape: number, name = 'counts') =>
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
    database = await privateDatabase();
    source = new DataSource({
      ...{ type: 'postgres', url: database.url, extra: { pipeline: true } },
      migrations: [Consistency1700000000000, InboxSender1700000000100, EventStore1700000000500],
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
  async function instance(...projections: ReturnType<typeof counts>[]): Promise<Projector> {
    const projector = new Projector(projections, source, database.url);
    await projector.prepare();
    projector.start();
    running.push(projector);
    return projector;
  }
  const happen = (times: number, id = 'a') =>
    source.query(
      `INSERT INTO event (stream, subject, version, type, data)
       SELECT 'thing', $1, (SELECT coalesce(max(version), 0) FROM event WHERE subject = $1) + n, 'counted', '{}'
       FROM generate_series(1, $2::int) AS n`,
      [id, times],
    );
  const readPlace = async (name = 'counts') =>
    (await source.query('SELECT * FROM projection WHERE name = $1', [name]))[0] as Place;
  const rows = () => source.query('SELECT * FROM counts_row ORDER BY id') as Promise<object[]>;
  /** Another who has the places in hand: whoever wants to change them waits, whoever reads goes on. */
  async function locking(): Promise<QueryRunner> {
    const other = source.createQueryRunner();
    await other.query('BEGIN');
    await other.query('LOCK TABLE projection IN EXCLUSIVE MODE');
    return other;
  }
  /** That somebody waits for a lock which somebody else holds. */
  const somebodyWaits = () =>
    eventually(
      async () =>
        (
          await source.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          )
        ).length > 0,
    );

  it('leaves a new shape to those who know it, and the one in use to those who know that', async () => {
    const old = await instance(counts(1));
    await happen(3);
    await old.caughtUp('counts', 5_000);
    const young = await instance(counts(2));
    await happen(1);
    await sleep(700);
    expect(await rows()).toEqual([{ id: 'a', of_shape_1: 4 }]);
    await old.stop();
    await eventually(async () => (await readPlace()).shape === 2);
    expect(await rows()).toEqual([{ id: 'a', of_shape_2: 4 }]);
    await happen(1);
    await young.caughtUp('counts', 5_000);
    expect(await rows()).toEqual([{ id: 'a', of_shape_2: 5 }]);

    // The new version was a mistake: what is left of the old one builds what it can read.
    await instance(counts(1));
    await young.stop();
    await eventually(async () => (await readPlace()).shape === 1);
    expect(await rows()).toEqual([{ id: 'a', of_shape_1: 5 }]);
    expect(await readPlace()).toMatchObject({ next_generation: null, fault: null });
  });

  it('never goes back behind another that leads meanwhile', async () => {
    await instance(counts(1));
    const other = await locking();
    await happen(2);
    await somebodyWaits();
    await other.query('UPDATE projection SET position = 1000000');
    await other.query('COMMIT');
    await other.release();
    await sleep(500);
    expect(await readPlace()).toMatchObject({ position: '1000000', fault: null });
  });

  it('builds nothing that another has built meanwhile', async () => {
    await instance(counts(1));
    const first = await locking();
    const asked = requestRebuild(source, 'counts');
    await somebodyWaits();
    const second = locking();
    await sleep(100);
    await first.query('COMMIT');
    await first.release();
    await asked;
    const other = await second;
    await somebodyWaits();
    await other.query('UPDATE projection SET next_generation = NULL, next_shape = NULL');
    await other.query('COMMIT');
    await other.release();
    await sleep(500);
    expect(await readPlace()).toMatchObject({ generation: 1, fault: null });
    await expect(
      source.query(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'counts%'`),
    ).resolves.toEqual([{ nspname: 'counts_1' }]);
  });

  it('is mended by building it again, and forgets its fault', async () => {
    const projector = await instance(counts(1));
    await happen(3);
    await projector.caughtUp('counts', 5_000);
    await source.query('DROP TABLE counts_1.counts_row CASCADE');
    await happen(1);
    await eventually(async () => (await readPlace()).fault?.includes('counts_row'));
    await requestRebuild(source, 'counts');
    expect((await readPlace()).fault).toBeNull();
    await eventually(async () => (await readPlace()).generation === 2, 5_000);
    expect(await rows()).toEqual([{ id: 'a', of_shape_1: 4 }]);
    await happen(1);
    await projector.caughtUp('counts', 5_000);
    expect(await readPlace()).toMatchObject({ fault: null, next_generation: null });
    expect(await rows()).toEqual([{ id: 'a', of_shape_1: 5 }]);
  });

  it('asks little of the database while nothing happens, and while it must wait', async () => {
    const projector = await instance(counts(1), counts(1, 'more'), counts(1, 'most'));
    await happen(1);
    await projector.caughtUp('most', 5_000);
    await sleep(300);
    const query = jest.spyOn(pg.Client.prototype, 'query');
    await sleep(1_000);
    // A look each 200 ms, whatever the number of read models.
    const idle = query.mock.calls.length;
    const late = source.createQueryRunner();
    await late.startTransaction();
    await late.query(
      `INSERT INTO event (stream, subject, version, type, data) VALUES ('thing', 'late', 1, 'counted', '{}')`,
    );
    await happen(1);
    await sleep(500);
    query.mockClear();
    await sleep(1_000);
    const waiting = query.mock.calls.length;
    query.mockRestore();
    await late.commitTransaction();
    await late.release();
    await projector.caughtUp('counts', 5_000);
    expect(await rows()).toHaveLength(2);
    expect(idle).toBeGreaterThan(0);
    expect(idle).toBeLessThanOrEqual(6);
    expect(waiting).toBeLessThanOrEqual(15);
  });
});
