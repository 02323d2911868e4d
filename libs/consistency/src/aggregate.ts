import type { AnyEvent, Message } from '@jogakbo/contract';

export interface EventOf {
  type: string;
}

type DataOf<E extends EventOf, T extends E['type']> = Omit<Extract<E, { type: T }>, 'type'>;
type OldData = Record<string, unknown>;

/** An event-sourced aggregate, described by pure functions. */
export interface Aggregate<S = unknown, E extends EventOf = EventOf> {
  /** Unique within the service; part of what is stored. */
  readonly name: string;
  /** The state after an event. */
  readonly evolve: (state: S | undefined, event: E) => S;
  /** The public event to publish with the commit, if any. */
  readonly toPublicEvent?: (id: string, state: S, event: E) => Message<AnyEvent> | undefined;
  /**
   * Upcasters by event type: the first function converts revision 1 to 2, the next one 2 to 3, and so on. Never remove
   * one: stored events are never rewritten.
   */
  readonly upcast?: { [T in E['type']]?: readonly ((data: OldData) => OldData)[] };
  /**
   * Personal data by event type: the person, and the value that replaces each field after erasure. A field that was renamed
   * by an upcaster must be listed under its old name, too: stored events are decrypted before they are upcast.
   */
  readonly personal?: {
    [T in E['type']]?: { of: (data: DataOf<E, T>) => string; fields: Partial<DataOf<E, T>> };
  };
  /**
   * Stores a snapshot every `every` events. Raise `shape`, the version of its format, when `S` changes. Snapshots contain
   * plaintext. With `personal`, a unit of work that runs during `erase` can store one again: erase twice, a minute apart.
   */
  readonly snapshot?: { every: number; shape: number };
}

/**
 * Declares an aggregate (event sourcing, after Young). `evolve` derives its state from its events; the functions that
 * `change` gets derive new events from its state.
 * @param name unique within the service; part of what is stored
 * @param description see Aggregate
 */
export const aggregate = <S, E extends EventOf>(
  name: string,
  description: Omit<Aggregate<S, E>, 'name'>,
): Aggregate<S, E> => ({ name, ...description });
