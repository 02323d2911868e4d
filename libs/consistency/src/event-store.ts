import { platformRejection } from '@jogakbo/contract';
import type { EntityManager } from 'typeorm';
import type { Aggregate, EventOf } from './aggregate.ts';
import { decryptFields, encryptFields } from './personal-data.ts';
import type { UnitOfWork } from './unit-of-work.ts';

/** A stored event with its time. */
export type Recorded<E> = E & { at: Date };

/** The state of one aggregate; `state` is undefined and `version` is 0 without events. */
export interface Loaded<S> {
  state: S | undefined;
  version: number;
}

/** An event row, with the key of its person until that is erased. */
export interface StoredEvent {
  type: string;
  revision: number;
  data: Record<string, unknown>;
  at: Date;
  key: Buffer | null;
}

/** Another writer was faster: the aggregate is not at the expected version. */
export class VersionConflict extends Error {
  override readonly name = 'VersionConflict';
}

/** All events of one aggregate, oldest first, upcast to the current shape; empty for an unknown id. */
export async function history<S, E extends EventOf>(
  manager: EntityManager,
  kind: Aggregate<S, E>,
  id: string,
): Promise<Recorded<E>[]> {
  return toCurrentEvents(kind, await readRows(manager, kind, id, 0));
}

/** Loads the state of one aggregate from its snapshot and events. */
export async function load<S, E extends EventOf>(
  manager: EntityManager,
  kind: Aggregate<S, E>,
  id: string,
): Promise<Loaded<S>> {
  const from = await readSnapshot<S>(manager, kind, id);
  const rows = await readRows(manager, kind, id, from.version);
  const events = toCurrentEvents(kind, rows);
  return {
    state: events.reduce<S | undefined>(kind.evolve, from.state),
    version: from.version + rows.length,
  };
}

/**
 * Changes one aggregate: loads it, decides, appends, and publishes with the commit. Concurrent changes of one aggregate
 * run one after the other.
 * @param decide pure; may throw a Rejection
 * @returns the state after the change
 * @throws Rejection `not-found` for an aggregate without events
 */
export async function change<S, E extends EventOf>(
  work: UnitOfWork,
  kind: Aggregate<S, E>,
  id: string,
  decide: (state: S) => readonly E[],
): Promise<S> {
  const { tx } = work;
  const [, loaded] = await Promise.all([
    work.hold(id),
    load(tx, kind, id), // runs after the lock is acquired
  ]);
  if (loaded.state === undefined) throw platformRejection('not-found', 'there is no such thing');
  return append(work, kind, id, loaded, decide(loaded.state));
}

/**
 * Appends events, and publishes them with the commit.
 * @param after the state and version that the events follow; `nothing` for a new aggregate
 * @returns the state after the events
 * @throws nothing itself. For another version the commit, or an earlier read, throws VersionConflict, and the unit of
 *   work is rolled back
 */
export async function append<S, E extends EventOf>(
  work: UnitOfWork,
  kind: Aggregate<S, E>,
  id: string,
  after: Loaded<S>,
  events: readonly E[],
): Promise<S> {
  let { state, version } = after;
  const rows = [];
  for (const event of events) {
    state = kind.evolve(state, event);
    const { type, ...data } = event as E & Record<string, unknown>;
    const secret = kind.personal?.[type as E['type']];
    const person = secret?.of(data as never);
    rows.push({
      version: ++version,
      type,
      revision: (kind.upcast?.[type as E['type']]?.length ?? 0) + 1,
      data: secret && person ? await encryptFields(work.tx, person, data, Object.keys(secret.fields)) : data,
      person,
    });
    const message = kind.announce?.(id, state, event);
    if (message) work.publish(message);
  }
  if (rows.length > 0) {
    const conflict = `${kind.name} ${id} is no longer at version ${after.version}: another writer appended first`;
    work.write(insertEvents, [kind.name, id, JSON.stringify(rows)], (error) =>
      isUniqueViolation(error) ? new VersionConflict(conflict, { cause: error }) : error,
    );
    keepSnapshot(work, kind, id, after.version, version, state!);
  }
  return state!;
}

/** An aggregate without events. */
export const nothing: Loaded<never> = { state: undefined, version: 0 };

const insertEvents = `
  INSERT INTO event (stream, subject, version, type, revision, data, person)
  SELECT $1, $2, version, type, revision, data, person
  FROM json_to_recordset($3) AS row (version int, type text, revision int, data json, person text)
  ORDER BY version`;

const isUniqueViolation = (error: Error) => (error as { code?: string }).code === '23505';

const readRows = (manager: EntityManager, { name }: { name: string }, id: string, after: number) =>
  manager.query(
    `SELECT type, revision, data, at, key FROM event LEFT JOIN personal_key USING (person)
     WHERE stream = $1 AND subject = $2 AND version > $3 ORDER BY version`,
    [name, id, after],
  ) as Promise<StoredEvent[]>;

/** Decrypts stored events as far as keys exist, and upcasts them to the current shape. */
export function toCurrentEvents<S, E extends EventOf>(
  { upcast, personal }: Aggregate<S, E>,
  rows: readonly StoredEvent[],
): Recorded<E>[] {
  return rows.map(({ type, revision, data, at, key }) => {
    const kind = type as E['type'];
    const decrypted = decryptFields(
      data,
      key,
      personal?.[kind]?.fields as Record<string, unknown> | undefined,
    );
    const current = (upcast?.[kind] ?? []).slice(revision - 1).reduce((old, step) => step(old), decrypted);
    return { type, ...current, at } as unknown as Recorded<E>;
  });
}

async function readSnapshot<S>(
  manager: EntityManager,
  { name, snapshot }: Pick<Aggregate, 'name' | 'snapshot'>,
  id: string,
): Promise<Loaded<S>> {
  if (!snapshot) return nothing;
  const [found] = (await manager.query(
    'SELECT version, state FROM snapshot WHERE stream = $1 AND subject = $2 AND shape = $3',
    [name, id, snapshot.shape],
  )) as Loaded<S>[];
  return found ?? nothing;
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
