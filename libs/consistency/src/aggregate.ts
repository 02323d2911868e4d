import type { AnyEvent, Message } from '@jogakbo/contract';

export interface EventOf {
  type: string;
}

type DataOf<E extends EventOf, T extends E['type']> = Omit<Extract<E, { type: T }>, 'type'>;
type OldData = Record<string, unknown>;

/** A thing that is kept as what happened to it, described by pure functions. */
export interface Aggregate<S = unknown, E extends EventOf = EventOf> {
  /** Unique within the service; part of what is stored. */
  readonly name: string;
  /** The state after an event. */
  readonly evolve: (state: S | undefined, event: E) => S;
  /** What others hear of an event, once it is committed. */
  readonly announce?: (id: string, state: S, event: E) => Message<AnyEvent> | undefined;
  /**
   * How events of an older shape become events of today, by type: the first function takes the first shape to the
   * second, and so on. Never remove one; what is stored is never rewritten.
   */
  readonly upcast?: { [T in E['type']]?: readonly ((data: OldData) => OldData)[] };
  /** Personal data, by event type: whose it is, and what stands in each field's place once it was erased. */
  readonly personal?: {
    [T in E['type']]?: { of: (data: DataOf<E, T>) => string; fields: Partial<DataOf<E, T>> };
  };
  /** Keeps the state of every so many events, so that a long life need not be read again. Raise `shape` with `S`. */
  readonly snapshot?: { every: number; shape: number };
}

/** The cause of a message is still on the way: the next attempt will see. */
export class OutOfOrder extends Error {
  override readonly name = 'TooEarly';
}

/**
 * Declares an aggregate (event sourcing after Young: `decide` makes events of a state, `evolve` makes a state of
 * events).
 * @param name unique within the service; part of what is stored
 * @param description see Aggregate
 */
export const aggregate = <S, E extends EventOf>(
  name: string,
  description: Omit<Aggregate<S, E>, 'name'>,
): Aggregate<S, E> => ({ name, ...description });
