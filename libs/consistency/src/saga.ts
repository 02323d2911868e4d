import type { AnyCommand, AnyEvent, Body, Message } from '@jogakbo/contract';
import type { z } from 'zod';

/** The result of a transition: the new state, the commands to send, and whether the saga ends. */
export interface Step<S> {
  state?: S;
  messages: Message<AnyCommand>[];
  ended: boolean;
}

/** Goes to a new state, and continues. */
export const to = <S>(state: S, ...messages: Message<AnyCommand>[]): Step<S> => ({
  state,
  messages,
  ended: false,
});

/** Ends the saga. */
export const end = (...messages: Message<AnyCommand>[]): Step<never> => ({ messages, ended: true });

type Transition = (data: never, state: never) => Step<unknown>;

/** A saga as data: its start, its transitions and its timeout. */
export interface Saga<Key extends string = string, S = unknown> {
  readonly name: string;
  /** The field that every message of one run carries; its value identifies the run. */
  readonly keyField: Key;
  readonly start: { contract: AnyEvent | AnyCommand; transition: Transition };
  readonly transitions: ReadonlyMap<string, { event: AnyEvent; transition: Transition }>;
  readonly timeout: { after: number; transition: Transition } | undefined;
  /** Declares the step for an event. An event without the saga's key does not compile. */
  on<C extends AnyEvent & { input: Keyed<Key> }>(
    event: C,
    transition: (data: Body<C>, state: S) => Step<S>,
  ): Saga<Key, S>;
  /** Declares the timeout: the step for a run that has not ended after so many milliseconds. */
  after(milliseconds: number, transition: (key: Record<Key, string>, state: S) => Step<S>): Saga<Key, S>;
}

type Keyed<Key extends string> = z.ZodType<Record<Key, string>>;

/**
 * Declares a saga (a process manager, after Garcia-Molina and Salem's sagas). All steps are pure functions.
 * @param name unique within the service; part of what is stored
 * @param keyField the field that every message of one run carries
 */
export function saga<Key extends string>(name: string, keyField: Key) {
  return {
    /**
     * Declares the event that starts a run, or the command that this service sends to itself. A command can carry data that
     * no event may contain: it is handled in the transaction that sends it, and its data is stored in the encrypted state
     * only. A second start with the same key is ignored.
     */
    startedBy<C extends (AnyEvent | AnyCommand) & { input: Keyed<Key> }, S>(
      contract: C,
      transition: (data: Body<C>) => Step<S>,
    ): Saga<Key, S> {
      return build<Key, S>({
        name,
        keyField,
        start: { contract, transition },
        transitions: new Map(),
        timeout: undefined,
      });
    },
  };
}

function build<Key extends string, S>(fields: Omit<Saga<Key, S>, 'on' | 'after'>): Saga<Key, S> {
  return {
    ...fields,
    on(event, transition) {
      if (fields.transitions.has(event.name))
        throw new Error(`saga ${fields.name}: ${event.name} has two steps; remove one`);
      const transitions = new Map(fields.transitions).set(event.name, {
        event,
        transition: transition as Transition,
      });
      return build({ ...fields, transitions });
    },
    after: (after, transition) =>
      build({ ...fields, timeout: { after, transition: transition as Transition } }),
  };
}

/** Converts minutes to milliseconds. */
export const minutes = (count: number): number => count * 60_000;
