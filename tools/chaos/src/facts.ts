export interface OutboxFact {
  service: string;
  id: number;
  messageId: string;
  name: string;
  subject: string | null;
  /** Whether it is overdue: not published, and due. */
  open: boolean;
  at: number;
}

/** A read model, rebuilt from the event log of its service. */
export interface RebuiltFact {
  service: string;
  name: string;
  /** Number of rows before the rebuild. */
  rows: number;
  /** Rows that exist only before or only after the rebuild. */
  differ: string[];
  /** Why the rebuild failed. */
  fault?: string;
}

export interface SagaFact {
  name: string;
  key: string;
  /** The events that it has handled, by name. */
  steps: string[];
  ended: boolean;
}

/** State of the platform after a run, read directly from the databases and the broker. */
export interface Facts {
  /** Time of the read (milliseconds since the epoch). */
  at: number;
  sagas: SagaFact[];
  /** Empty before the rebuild. */
  rebuilt: RebuiltFact[];
  outbox: OutboxFact[];
  queues: { name: string; messages: number; unacknowledged: number }[];
  deadLetters: { queue: string; pattern: string; cause: string; payload: string }[];
  /** Ids of all messages, in the order of their first delivery. */
  heard: string[];
  /** When the tap started to listen (milliseconds since the epoch). */
  heardSince: number;
}
