import { platformRejection } from '@jogakbo/contract';
import type { EntityManager } from 'typeorm';
import type { Aggregate, EventOf } from './aggregate.ts';
import { decryptFields, encryptFields, personalKeySql, type StoredKey } from './personal-data.ts';
import type { UnitOfWork } from './unit-of-work.ts';

/**
 * Stores aggregates as events, in the table `event`. Its column `stream` has the name of the aggregate (or of another
 * service, for the events of which projections are built); `subject` has the id, so stream and subject together are what is
 * called a stream elsewhere.
 */

/** A stored event with its time. */
export type Recorded<E> = E & { at: Date };

/** The state of one aggregate; `state` is undefined and `version` is 0 without events. */
export interface Loaded<S> {
  state: S | undefined;
  version: number;
}

/** An event row, with the key of its person until that is erased. */
export interface StoredEvent extends StoredKey {
  type: string;
  revision: number;
  data: Record<string, unknown>;
  at: Date;
}

/** Another writer was faster: the aggregate is not at the expected version. */
export class VersionConflict extends Error {
  override readonly name = 'VersionConflict';
}

/** All events of one aggregate, oldest first, upcast to the current shape; empty for an unknown id. */
export async function history<S, E extends EventOf>(
  manager: EntityManager,
  aggregate: Aggregate<S, E>,
  id: string,
): Promise<Recorded<E>[]> {
  return toCurrentEvents(aggregate, await readRows(manager, aggregate, id, 0));
}

/** Loads the state of one aggregate from its snapshot and events. */
export async function load<S, E extends EventOf>(
  manager: EntityManager,
  aggregate: Aggregate<S, E>,
  id: string,
): Promise<Loaded<S>> {
  const from = await readSnapshot<S>(manager, aggregate, id);
  const rows = await readRows(manager, aggregate, id, from.version);
  const events = toCurrentEvents(aggregate, rows);
  return {
    state: events.reduce<S | undefined>(aggregate.evolve, from.state),
    version: from.version + rows.length,
  };
}

/**
 * Changes one aggregate: loads it, decides, appends, and publishes with the commit. Concurrent changes of one aggregate
 * run one after the other.
 * @param decide derives events from the state, without side effects on data. It may throw a Rejection, and is the place for
 *   checks that need the state, such as that of the owner (`caller.mustOwn`)
 * @returns the state after the change
 * @throws Rejection `not-found` for an aggregate without events
 */
export async function change<S, E extends EventOf>(
  work: UnitOfWork,
  aggregate: Aggregate<S, E>,
  id: string,
  decide: (state: S) => readonly E[],
): Promise<S> {
  const loaded = await work.lockThen(id, () => load(work.tx, aggregate, id));
  if (loaded.state === undefined) throw platformRejection('not-found', 'there is no such thing');
  return append(work, aggregate, id, loaded, decide(loaded.state));
}

/**
 * Appends events, and publishes them with the commit. Does not throw if the aggregate is at another version: the commit,
 * or an earlier read, throws VersionConflict, and the unit of work is rolled back.
 * @param after the state and version that the events follow; `noEvents` for a new aggregate
 * @returns the state after the events
 */
export async function append<S, E extends EventOf>(
  work: UnitOfWork,
  aggregate: Aggregate<S, E>,
  id: string,
  after: Loaded<S>,
  events: readonly E[],
): Promise<S> {
  let { state, version } = after;
  const rows = [];
  for (const event of events) {
    state = aggregate.evolve(state, event);
    const { type, ...data } = event as E & Record<string, unknown>;
    const personal = aggregate.personal?.[type as E['type']];
    const person = personal?.of(data as never);
    const encrypted =
      personal && person
        ? await encryptFields(work.tx, person, data, Object.keys(personal.fields))
        : { data, keyId: undefined };
    rows.push({
      version: ++version,
      type,
      revision: (aggregate.upcast?.[type as E['type']]?.length ?? 0) + 1,
      data: encrypted.data,
      person,
      personal_key_id: encrypted.keyId,
    });
    const message = aggregate.toPublicEvent?.(id, state, event);
    if (message) work.publish(message);
  }
  if (rows.length > 0) {
    const conflict = `${aggregate.name} ${id} is no longer at version ${after.version}: another writer appended first`;
    work.write(insertEventsSql, [aggregate.name, id, JSON.stringify(rows)], (error) =>
      isUniqueViolation(error) ? new VersionConflict(conflict, { cause: error }) : error,
    );
    keepSnapshot(work, aggregate, id, after.version, version, state!);
  }
  return state!;
}

/** An aggregate without events. */
export const noEvents: Loaded<never> = { state: undefined, version: 0 };

const insertEventsSql = `
  INSERT INTO event (stream, subject, version, type, revision, data, person, personal_key_id)
  SELECT $1, $2, version, type, revision, data, person, personal_key_id
  FROM json_to_recordset($3) AS row
    (version int, type text, revision int, data json, person text, personal_key_id uuid)
  ORDER BY version`;

const isUniqueViolation = (error: Error) => (error as { code?: string }).code === '23505';

const readRows = (manager: EntityManager, { name }: { name: string }, id: string, after: number) =>
  manager.query(
    `SELECT type, revision, data, at, ${personalKeySql} FROM event
     WHERE stream = $1 AND subject = $2 AND version > $3 ORDER BY version`,
    [name, id, after],
  ) as Promise<StoredEvent[]>;

/** Decrypts stored events as far as keys exist, and upcasts them to the current shape. */
export function toCurrentEvents<S, E extends EventOf>(
  { upcast, personal }: Aggregate<S, E>,
  rows: readonly StoredEvent[],
): Recorded<E>[] {
  return rows.map(({ type, revision, data, at, ...key }) => {
    const eventType = type as E['type'];
    const decrypted = decryptFields(
      data,
      key,
      personal?.[eventType]?.fields as Record<string, unknown> | undefined,
    );
    const current = (upcast?.[eventType] ?? [])
      .slice(revision - 1)
      .reduce((old, step) => step(old), decrypted);
    return { type, ...current, at } as unknown as Recorded<E>;
  });
}

async function readSnapshot<S>(
  manager: EntityManager,
  { name, snapshot }: Pick<Aggregate, 'name' | 'snapshot'>,
  id: string,
): Promise<Loaded<S>> {
  if (!snapshot) return noEvents;
  const [found] = (await manager.query(
    'SELECT version, state FROM snapshot WHERE stream = $1 AND subject = $2 AND shape = $3',
    [name, id, snapshot.shape],
  )) as Loaded<S>[];
  return found ?? noEvents;
}

function keepSnapshot<S>(
  work: UnitOfWork,
  { name, snapshot }: Pick<Aggregate, 'name' | 'snapshot'>,
  id: string,
  before: number,
  version: number,
  state: S,
): void {
  if (!snapshot || Math.floor(before / snapshot.every) === Math.floor(version / snapshot.every)) return;
  work.write(
    `INSERT INTO snapshot (stream, subject, version, shape, state) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (stream, subject) DO UPDATE SET version = $3, shape = $4, state = $5`,
    [name, id, version, snapshot.shape, JSON.stringify(state)],
  );
}
