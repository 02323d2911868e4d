import { setTimeout as sleep } from 'node:timers/promises';
import type { AnyEvent } from '@jogakbo/contract';
import { getSubject, type RabbitServer } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import type { ClientBase } from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import { toCurrentEvents, type StoredEvent } from './event-store.ts';
import {
  createGeneration,
  dropRetiredGenerations,
  getSchema,
  readState,
  selectStates,
  showGeneration,
  type ProjectionState,
} from './generations.ts';
import { LeaderLoop } from './leader-loop.ts';
import { personalKeySql } from './personal-data.ts';
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

const batchSize = 500;

/**
 * Applies the events of the log to the read models of a service: twice a second, and on request (`waitUntilCurrent`). One
 * instance does this at a time. Each batch of events and the new position are one transaction, so every event is applied
 * once, even if two instances both act as leader.
 *
 * A generation of a read model is a separate schema, shown by views of the same names. A rebuild fills the next one from
 * the beginning while the current one stays in use and up to date. The last transaction brings both to the same position
 * and switches the views.
 */
export class Projector {
  readonly #logger = new Logger('Projector');
  /** For the current connection: another one may lead to a database that went back to an earlier state. */
  #horizon: { client: ClientBase; safe: SafeHorizon } | undefined;
  readonly #loop: LeaderLoop;
  /** Milliseconds before the next poll while it waits for the end of other transactions. */
  #pauseMs = 0;

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

  /** Subscribes to the events of other services that the projections need. Call it before the server listens. */
  attach(server: RabbitServer): void {
    const wanted = new Map<string, AnyEvent>();
    for (const { foreign } of this.projections) {
      for (const [name, { event }] of foreign) wanted.set(name, event);
    }
    for (const event of wanted.values()) {
      server.addContractHandler(event, (data, work) => record(work as UnitOfWork, event, data));
    }
  }

  /** Creates missing read models. Call it before any query. */
  async prepare(): Promise<void> {
    for (const one of this.projections) {
      await this.dataSource.transaction(async (tx) => {
        await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('projection ' || $1, 0))`, [one.name]);
        if (await readState(tx, one.name)) return;
        await createGeneration(tx, one, 1);
        await showGeneration(tx, one.name, 1);
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
   * Waits until a read model shows everything committed before this call, so that callers can read their own writes.
   * @returns false if that takes longer than `timeoutMs`
   */
  async waitUntilCurrent(name: string, timeoutMs = 1_000): Promise<boolean> {
    const until = performance.now() + timeoutMs;
    const [{ last }] = (await this.dataSource.query(
      'SELECT coalesce(max(position), 0)::text AS last FROM event',
    )) as [{ last: string }];
    this.#loop.wake();
    for (let pause = 2; ; pause = Math.min(pause * 2, 50)) {
      const state = await readState(this.dataSource.manager, name);
      if (state && BigInt(state.position) >= BigInt(last)) return true;
      if (performance.now() > until) return false;
      await sleep(pause);
    }
  }

  async #step(client: ClientBase): Promise<boolean> {
    if (this.#horizon?.client !== client) {
      this.#horizon = { client, safe: new SafeHorizon() };
      for (const one of this.projections) await this.#dropRetired(one);
    }
    const {
      position,
      isWaiting,
      extra: states,
    } = await this.#horizon.safe.poll<ProjectionState[]>(client, selectStates);
    let more = false;
    for (const one of this.projections) {
      const state = states.find(({ name }) => name === one.name);
      if (!state) continue;
      const building = state.next_shape === one.shape;
      try {
        if (state.shape === one.shape) more = (await this.#advance(one, state, position)) || more;
        else if (!building) more = await this.#reshape(one);
      } catch (error) {
        await this.#reportFailure(client, one, error, !building);
      }
      try {
        if (building) more = (await this.#rebuild(one, position)) || more;
      } catch (error) {
        await this.#reportFailure(client, one, error, true);
      }
    }
    if (more || !isWaiting) {
      this.#pauseMs = 0;
      return more;
    }
    // Polls for the end of other transactions at once, then less and less often.
    await sleep(this.#pauseMs);
    this.#pauseMs = Math.min(Math.max(5, this.#pauseMs * 2), 100);
    return true;
  }

  /** The leader builds the shape that it can read, so the version that remains after a roll-out decides. */
  async #reshape({ name, shape }: Projection): Promise<boolean> {
    this.#logger.log(`${name} has another shape in this version and is rebuilt`);
    await requestRebuild(this.dataSource, name, shape);
    return true;
  }

  /**
   * The other projections continue. Each poll retries the same batch. The stored error is shown as the reason why a rebuild
   * does not end, so while a next generation is built, an error of the current one is only logged.
   */
  async #reportFailure(
    client: ClientBase,
    { name }: Projection,
    error: unknown,
    isStored: boolean,
  ): Promise<void> {
    this.#logger.error({ err: error }, `projection ${name} failed and retries the same events`);
    if (isStored)
      await client.query('UPDATE projection SET fault = $2 WHERE name = $1', [name, String(error)]);
  }

  /** Applies one batch to the current generation. Returns whether more may follow. */
  async #advance(one: Projection, known: ProjectionState, horizon: bigint): Promise<boolean> {
    if (BigInt(known.position) >= horizon) return false;
    return this.dataSource.transaction(async (tx) => {
      const [state, rows] = await Promise.all([
        readState(tx, one.name, 'FOR UPDATE'),
        readLog(tx, one, known.position, horizon),
      ]);
      // Another leader has advanced it meanwhile.
      if (state?.position !== known.position || state.shape !== one.shape) return false;
      const isComplete = rows.length < batchSize;
      await tx.query('UPDATE projection SET position = $2, fault = NULL WHERE name = $1', [
        one.name,
        isComplete ? horizon.toString() : rows.at(-1)!.position,
      ]);
      await apply(tx, one, state.generation, rows);
      return !isComplete;
    });
  }

  /** Applies one batch to the generation that is being built. The last batch switches the views. */
  async #rebuild(one: Projection, horizon: bigint): Promise<boolean> {
    let isSwitched = false;
    const more = await this.dataSource.transaction(async (tx) => {
      const state = (await readState(tx, one.name, 'FOR UPDATE'))!;
      const next = state.next_generation;
      // Another leader has finished or advanced this rebuild meanwhile, or builds another shape.
      if (!next || state.next_shape !== one.shape) return false;
      if (BigInt(state.next_position) > horizon || BigInt(state.position) > horizon) return false;
      if (state.next_position === '0') await createGeneration(tx, one, next);
      const rows = await readLog(tx, one, state.next_position, horizon);
      const isComplete = rows.length < batchSize;
      if (isComplete) await showGeneration(tx, one.name, next);
      await tx.query(
        isComplete
          ? `UPDATE projection SET generation = next_generation, shape = next_shape, position = $2,
               next_generation = NULL, next_shape = NULL, next_position = 0, fault = NULL WHERE name = $1`
          : 'UPDATE projection SET next_position = $2 WHERE name = $1',
        [one.name, isComplete ? horizon.toString() : rows.at(-1)!.position],
      );
      await apply(tx, one, next, rows);
      isSwitched = isComplete;
      return true;
    });
    if (!isSwitched) return more;
    this.#logger.log(`${one.name} was rebuilt`);
    await this.#dropRetired(one);
    return true;
  }

  /**
   * Drops the generations before the current one. Another leader may have left them behind if it ended after its switch.
   * Never throws: the next leader tries again.
   */
  async #dropRetired({ name }: Projection): Promise<void> {
    try {
      await dropRetiredGenerations(this.dataSource, name);
    } catch (error) {
      this.#logger.warn({ err: error }, `earlier generations of ${name} are not dropped yet`);
    }
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

const readLog = (tx: EntityManager, { foreign, own }: Projection, after: string, horizon: bigint) =>
  tx.query(
    `SELECT position::text, stream, subject, version, type, revision, data, at,
       ${personalKeySql} FROM event
     WHERE position > $1 AND position <= $2
       AND (version IS NULL AND type = ANY($3) OR version IS NOT NULL AND stream = ANY($4))
     ORDER BY event.position LIMIT ${batchSize}`,
    [after, horizon.toString(), [...foreign.keys()], [...own.keys()]],
  ) as Promise<Row[]>;

/** Must be last in its transaction: it sets the search path to the schema of the generation. */
async function apply(tx: EntityManager, one: Projection, generation: number, rows: Row[]): Promise<void> {
  if (rows.length === 0) return;
  await tx.query(`SET LOCAL search_path TO ${getSchema(one.name, generation)}, public`);
  for (const row of rows) {
    if (row.version === null) {
      const { event, apply } = one.foreign.get(row.type)!;
      await apply(tx, event.input.parse(row.data) as never);
    } else {
      const { aggregate, apply } = one.own.get(row.stream)!;
      const [event] = toCurrentEvents(aggregate, [row]);
      await apply(tx, { id: row.subject, version: row.version, event } as never);
    }
  }
}
