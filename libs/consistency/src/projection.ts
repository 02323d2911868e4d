import type { AnyEvent, Body } from '@jogakbo/contract';
import type { EntityManager } from 'typeorm';
import type { Aggregate, EventOf } from './aggregate.ts';
import type { Recorded } from './event-store.ts';

type Apply<T> = (tx: EntityManager, input: T) => Promise<void>;

/** The input of a handler: one event of an aggregate of this service. */
export interface RecordedEvent<E> {
  id: string;
  version: number;
  event: Recorded<E>;
}

/** A read model that can be deleted and rebuilt from the log of its service. */
export interface Projection {
  /** Unique within the service. */
  readonly name: string;
  /** Its version. Raise it when tables or handlers change: an instance with a new shape rebuilds the read model. */
  readonly shape: number;
  /** SQL that creates its tables with unqualified names. It runs once per generation, in a separate schema. */
  readonly tables: string;
  /** Events of other services by contract name. The service subscribes to them and stores them in its log. */
  readonly foreign: ReadonlyMap<string, { event: AnyEvent; apply: Apply<never> }>;
  /** Events of this service by aggregate name. */
  readonly own: ReadonlyMap<string, { aggregate: Aggregate<never, never>; apply: Apply<never> }>;
  /** Handles this event of another service. */
  on<C extends AnyEvent>(event: C, apply: Apply<Body<C>>): Projection;
  /** Handles every event of this aggregate. */
  of<S, E extends EventOf>(aggregate: Aggregate<S, E>, apply: Apply<RecordedEvent<E>>): Projection;
}

/**
 * Declares a projection (the read side of CQRS, after Young). Its handlers get each event once, in the order of the log.
 * Handlers and queries use unqualified table names.
 * @param name unique within the service; letters, digits and underscores
 */
export const projection = (name: string, shape: number, tables: string): Projection => {
  if (!/^[a-z]\w{0,40}$/.test(name))
    throw new Error(
      `projection "${name}": use a lower-case letter, then up to 40 letters, digits or underscores`,
    );
  return build({ name, shape, tables, foreign: new Map(), own: new Map() });
};

const build = (fields: Omit<Projection, 'on' | 'of'>): Projection => ({
  ...fields,
  on: (event, apply) =>
    build({ ...fields, foreign: new Map(fields.foreign).set(event.name, { event, apply }) }),
  of: (aggregate, apply) =>
    build({
      ...fields,
      own: new Map(fields.own).set(aggregate.name, { aggregate: aggregate as never, apply }),
    }),
});
