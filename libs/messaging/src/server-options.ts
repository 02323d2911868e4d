import type { BrokerConnection } from './connection.ts';
import type { DecryptionKeys } from './encryption.ts';
import type { Grants } from './grants.ts';
import type { MessageContext } from './message-context.ts';
import type { Publisher } from './publisher.ts';
import type { QueueRecord } from './queue-record.ts';
import type { ServiceKey } from './service-key.ts';
import type { Spans } from './spans.ts';
import type { SplitAtServer } from './version-queues.ts';

/** Wraps every command and event, for example in a transaction; queries have none. Calls `next` at most once. */
export type Middleware = (
  context: MessageContext,
  next: (context: MessageContext) => Promise<unknown>,
) => Promise<unknown>;

export interface ServerOptions {
  service: string;
  connection: BrokerConnection;
  publisher: Publisher;
  /** The service key, for marks. An instance with another key does not trust the retries of this instance. */
  key?: ServiceKey;
  /** The current grants; required if every service has a login of its own. */
  grants?: () => Grants;
  middleware?: Middleware;
  /** Decrypts data for the service. Required if it handles a sensitive contract. */
  decryption?: DecryptionKeys;
  /** Delays before each retry, in milliseconds. Must be the delays of the deploy step, if it has run. */
  retryDelays?: readonly number[];
  /** Number of commands, and of events, that are handled concurrently. */
  prefetch?: number;
  /** Number of queries that are handled concurrently, read for each query. Further queries are refused at once. */
  concurrency?: () => number;
  /** Remembers queues of commands and events that were missing: their messages are lost. */
  queueRecord?: QueueRecord;
  /** The traffic split of the service; without it calls are not split. */
  split?: SplitAtServer;
  /** Records a span for every handled message. */
  spans?: Spans | undefined;
  /** Called for every handled message, in its context. */
  observe?: (handled: HandledMessage) => void;
}

/**
 * - `overloaded`: a query above the concurrency limit, answered at once.
 * - `expired`: a request whose deadline had passed; not executed.
 * - `forwarded`: another version of the service handles it.
 * - `requeued`: another instance of the service may handle it.
 * - `unauthorized`: its sender may not send it; not executed.
 */
export type Outcome =
  'ok' | 'rejection' | 'fault' | 'overloaded' | 'expired' | 'forwarded' | 'requeued' | 'unauthorized';

/** Metrics of a handled message. */
export interface HandledMessage {
  name: string;
  /** Undefined if the service has no such contract. */
  kind: 'query' | 'command' | 'event' | undefined;
  outcome: Outcome;
  seconds: number;
}

/** A queue of the service, for all versions or for one. */
export interface ConsumedQueue {
  queue: string;
  kind: 'commands' | 'queries' | 'events';
  version?: string | undefined;
}

/** The part of Nest's logger that this library uses. */
export interface ServerLogger {
  debug?(message: unknown, ...more: unknown[]): void;
  warn(message: unknown, ...more: unknown[]): void;
  error(message: unknown, ...more: unknown[]): void;
}
