import type { AnyEvent, Body } from '@jogakbo/contract';
import type { EntityManager } from 'typeorm';
import type { Aggregate, EventOf } from './aggregate.ts';
import type { Recorded } from './event-store.ts';

type Apply<T> = (tx: EntityManager, what: T) => Promise<void>;

/** What one event of an aggregate of this service is given as. */
export interface RecordedEvent<E> {
  id: string;
  version: number;
  event: Recorded<E>;
}

/** A read model that can be thrown away and built again from the log of its service. */
export interface Projection {
  /** Unique within the service. */
  readonly name: string;
  /** Raise it when tables or handlers change: every instance that starts with it has the read model built again. */
  readonly shape: number;
  /** SQL that creates its tables, by their plain names. It runs once for each generation, in a schema of its own. */
  readonly tables: string;
  /** By contract name, events of other services; the service subscribes to them and keeps them in its log. */
  readonly announced: ReadonlyMap<string, { event: AnyEvent; apply: Apply<never> }>;
  /** By aggregate name, events of this service. */
  readonly own: ReadonlyMap<string, { kind: Aggregate<never, never>; apply: Apply<never> }>;
  /** On this event of another service, do that. */
  on<C extends AnyEvent>(event: C, apply: Apply<Body<C>>): Projection;
  /** On every event of this aggregate, do that. */
  of<S, E extends EventOf>(kind: Aggregate<S, E>, apply: Apply<RecordedEvent<E>>): Projection;
}

/**
 * Begins a projection (the read side of CQRS, after Young). Its handlers get each event once, in the order in which it
 * came into the log, and write plain table names; queries read them by the same names.
 * @param name unique within the service; letters, digits and underscores
 */
export const projection = (name: string, shape: number, tables: string): Projection => {
  if (!/^[a-z]\w{0,40}$/.test(name)) throw new Error(`"${name}" cannot be the name of a projection`);
  return build({ name, shape, tables, announced: new Map(), own: new Map() });
};

const build = (fields: Omit<Projection, 'on' | 'of'>): Projection => ({
  ...fields,
  on: (event, apply) =>
    build({ ...fields, announced: new Map(fields.announced).set(event.name, { event, apply }) }),
  of: (kind, apply) =>
    build({ ...fields, own: new Map(fields.own).set(kind.name, { kind: kind as never, apply }) }),
});
