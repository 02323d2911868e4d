import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyEvent } from '@jogakbo/contract';
import { getSubject, type RabbitServer } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { present, type StoredEvent } from './event-store.ts';
import { LeaderLoop } from './leader-loop.ts';
import type { Projection } from './projection.ts';
import { requestRebuild } from './rebuild.ts';
import { SafeHorizon } from './safe-horizon.ts';
import type { UnitOfWork } from './unit-of-work.ts';

interface Row extends StoredEvent {
  position: string;
  stream: string;
  subject: string;
  version: number | null;
}

interface Place {
  name: string;
  shape: number;
  generation: number;
  position: string;
  next_generation: number | null;
  next_position: string;
  next_shape: number | null;
}

const batchSize = 500;
const place = `name, shape, generation, position::text, next_generation, next_position::text, next_shape`;
const allPlaces = `SELECT coalesce(json_agg(place), '[]') FROM (SELECT ${place} FROM projection) AS place`;
const getSchema = (name: string, generation: number) => `"${name}_${generation}"`;

/**
 * Keeps the read models of a service up to its log: twice a second, and when somebody asks (`caughtUp`). One
 * instance does it at a time; each batch of events and the new position are one transaction, so every event has its
 * effect once, also where two believe that they lead.
 *
 * A generation of a read model is a schema of its own, shown by views of the same names. A rebuild fills the next one
 * from the beginning while the one in use goes on being kept and read; when it has come to the same place, the views
 * are turned over, in the transaction that ends both at the same position.
 */
export class Projector {
  readonly #logger = new Logger('Projector');
  readonly #horizon = new SafeHorizon();
  readonly #loop: LeaderLoop;
  /** Milliseconds before the next look while others' transactions have yet to end. */
  #pause = 0;

  constructor(
    private readonly projections: readonly Projection[],
    private readonly dataSource: DataSource,
    databaseUrl: string,
  ) {
    this.#loop = new LeaderLoop({
      name: 'projector',
      databaseUrl,
      pollEvery: 500,
      step: (client) => this.#step(client),
    });
  }

  /** Subscribes to what the projections want to hear of other services. Before the server listens. */
  attach(server: RabbitServer): void {
    const wanted = new Map<string, AnyEvent>();
    for (const { announced } of this.projections) {
      for (const [name, { event }] of announced) wanted.set(name, event);
    }
    for (const event of wanted.values()) {
      server.listenTo(event, (data, work) => record(work as UnitOfWork, event, data));
    }
  }

  /** Creates read models that do not exist yet. Before any query. */
  async prepare(): Promise<void> {
    for (const one of this.projections) {
      await this.dataSource.transaction(async (tx) => {
        await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('projection ' || $1, 0))`, [one.name]);
        if (await readPlace(tx, one.name)) return;
        await create(tx, one, 1);
        await show(tx, one.name, 1);
        await tx.query('INSERT INTO projection (name, shape, generation) VALUES ($1, $2, 1)', [
          one.name,
          one.shape,
        ]);
      });
    }
  }

  readonly start = (): void => {
    if (this.projections.length > 0) this.#loop.start();
  };
  readonly stop = (): Promise<void> => this.#loop.stop();

  /**
   * Waits until a read model shows everything that was committed when this was called: whoever asks after a change of
   * his own finds it.
   * @returns false where that takes longer than `patience` milliseconds
   */
  async caughtUp(name: string, patience = 1_000): Promise<boolean> {
    const until = performance.now() + patience;
    const [{ last }] = (await this.dataSource.query(
      'SELECT coalesce(max(position), 0)::text AS last FROM event',
    )) as [{ last: string }];
    this.#loop.wake();
    for (let pause = 2; ; pause = Math.min(pause * 2, 50)) {
      const place = await readPlace(this.dataSource.manager, name);
      if (place && BigInt(place.position) >= BigInt(last)) return true;
      if (performance.now() > until) return false;
      await sleep(pause);
    }
  }

  async #step(client: ClientBase): Promise<boolean> {
    const { position, waiting, beside: places } = await this.#horizon.look<Place[]>(client, allPlaces);
    let more = false;
    for (const one of this.projections) {
      const place = places.find(({ name }) => name === one.name);
      if (!place) continue;
      const building = place.next_shape === one.shape;
      try {
        if (place.shape === one.shape) more = (await this.#advance(one, place, position)) || more;
        else if (!building) more = await this.#reshape(one);
      } catch (error) {
        await this.#standStill(client, one, error, building);
      }
      try {
        if (building) more = (await this.#rebuild(one, position)) || more;
      } catch (error) {
        await this.#standStill(client, one, error, false);
      }
    }
    if (more || !waiting) {
      this.#pause = 0;
      return more;
    }
    // What others leave open is asked after at once, then less and less often.
    await sleep(this.#pause);
    this.#pause = Math.min(Math.max(5, this.#pause * 2), 100);
    return true;
  }

  /** Whoever leads builds what it can read: the version that stays has the last word. */
  async #reshape({ name, shape }: Projection): Promise<boolean> {
    this.#logger.log(`${name} has another shape here and is built again`);
    await requestRebuild(this.dataSource, name, shape);
    return true;
  }

  /** The others go on. The same batch is tried again at every look; one that is being mended has no fault to show. */
  async #standStill(
    client: ClientBase,
    { name }: Projection,
    error: unknown,
    mended: boolean,
  ): Promise<void> {
    this.#logger.error({ err: error }, `projection ${name} stands still`);
    if (!mended)
      await client.query('UPDATE projection SET fault = $2 WHERE name = $1', [name, String(error)]);
  }

  /** One batch for the generation in use. Gives whether there may be more. */
  async #advance(one: Projection, known: Place, horizon: bigint): Promise<boolean> {
    if (BigInt(known.position) >= horizon) return false;
    return this.dataSource.transaction(async (tx) => {
      const [place, rows] = await Promise.all([
        readPlace(tx, one.name, 'FOR UPDATE'),
        readLog(tx, one, known.position, horizon),
      ]);
      // Another leads meanwhile, and is further.
      if (place?.position !== known.position || place.shape !== one.shape) return false;
      const whole = rows.length < batchSize;
      await tx.query('UPDATE projection SET position = $2, fault = NULL WHERE name = $1', [
        one.name,
        whole ? horizon.toString() : rows.at(-1)!.position,
      ]);
      await apply(tx, one, place.generation, rows);
      return !whole;
    });
  }

  /** One batch for the generation that is being built; the last one turns the views over. */
  async #rebuild(one: Projection, horizon: bigint): Promise<boolean> {
    let retired: number | undefined;
    const more = await this.dataSource.transaction(async (tx) => {
      const place = (await readPlace(tx, one.name, 'FOR UPDATE'))!;
      const next = place.next_generation;
      // Another leads meanwhile, or has: it is through, or further, or builds for another shape.
      if (!next || place.next_shape !== one.shape) return false;
      if (BigInt(place.next_position) > horizon || BigInt(place.position) > horizon) return false;
      if (place.next_position === '0') await create(tx, one, next);
      const rows = await readLog(tx, one, place.next_position, horizon);
      const whole = rows.length < batchSize;
      if (whole) await show(tx, one.name, next);
      await tx.query(
        whole
          ? `UPDATE projection SET generation = next_generation, shape = next_shape, position = $2,
               next_generation = NULL, next_shape = NULL, next_position = 0, fault = NULL WHERE name = $1`
          : 'UPDATE projection SET next_position = $2 WHERE name = $1',
        [one.name, whole ? horizon.toString() : rows.at(-1)!.position],
      );
      await apply(tx, one, next, rows);
      if (whole) retired = place.generation;
      return true;
    });
    if (retired === undefined) return more;
    await this.dataSource.query(`DROP SCHEMA IF EXISTS ${getSchema(one.name, retired)} CASCADE`);
    this.#logger.log(`${one.name} was built again`);
    return true;
  }
}

async function record({ tx }: UnitOfWork, event: AnyEvent, data: unknown): Promise<void> {
  await tx.query('INSERT INTO event (stream, subject, type, data) VALUES ($1, $2, $3, $4)', [
    event.service,
    getSubject(event, data) ?? '',
    event.name,
    JSON.stringify(data),
  ]);
}

async function readPlace(manager: EntityManager, name: string, lock = ''): Promise<Place | undefined> {
  const [found] = (await manager.query(`SELECT ${place} FROM projection WHERE name = $1 ${lock}`, [
    name,
  ])) as Place[];
  return found;
}

const readLog = (tx: EntityManager, { announced, own }: Projection, after: string, horizon: bigint) =>
  tx.query(
    `SELECT position::text, stream, subject, version, type, revision, data, at, key
     FROM event LEFT JOIN personal_key USING (person)
     WHERE position > $1 AND position <= $2
       AND (version IS NULL AND type = ANY($3) OR version IS NOT NULL AND stream = ANY($4))
     ORDER BY event.position LIMIT ${batchSize}`,
    [after, horizon.toString(), [...announced.keys()], [...own.keys()]],
  ) as Promise<Row[]>;

/** Last in its transaction: from here on names are those of the generation. */
async function apply(tx: EntityManager, one: Projection, generation: number, rows: Row[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(`SET LOCAL search_path TO ${getSchema(one.name, generation)}, public`);
  for (const row of rows) {
    if (row.version === null) {
      const { event, apply } = one.announced.get(row.type)!;
      await apply(tx, event.input.parse(row.data) as never);
    } else {
      const { kind, apply } = one.own.get(row.stream)!;
      const [event] = present(kind, [row]);
      await apply(tx, { id: row.subject, version: row.version, event } as never);
    }
  }
}

/** Makes an empty generation; what an earlier attempt left of it goes. */
async function create(tx: EntityManager, one: Projection, generation: number): Promise<void> {
  const schema = getSchema(one.name, generation);
  await tx.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await tx.query(`CREATE SCHEMA ${schema}`);
  await tx.query(`SET LOCAL search_path TO ${schema}, public`);
  await tx.query(one.tables);
  await tx.query('SET LOCAL search_path TO DEFAULT');
}

/** Lets queries see this generation. */
async function show(tx: EntityManager, name: string, generation: number): Promise<void> {
  const tables = (await tx.query('SELECT tablename AS table FROM pg_tables WHERE schemaname = $1', [
    `${name}_${generation}`,
  ])) as { table: string }[];
  for (const { table } of tables) {
    await tx.query(`DROP VIEW IF EXISTS public."${table}"`);
    await tx.query(
      `CREATE VIEW public."${table}" AS SELECT * FROM ${getSchema(name, generation)}."${table}"`,
    );
  }
}
