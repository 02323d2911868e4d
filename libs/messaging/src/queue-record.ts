import { randomBytes } from 'node:crypto';
import type { Announcement } from '@jogakbo/contract';

type RecreatedQueue = Announcement['madeQueues'][number];

/**
 * Remembers which queues of a service were missing: their messages are lost. Announced as `madeQueues` once they are declared
 * again, so that senders publish the messages of the last minutes again.
 */
export interface QueueRecord {
  /**
   * Called before a missing queue is declared; it is not declared if this throws.
   * @param contracts those whose messages the queue held: senders publish these again
   */
  recordMissing(queue: string, contracts: string[]): Promise<void>;
  /** Called each time a queue is consumed: it exists with all its bindings. */
  confirmRecreated(queue: string): Promise<void>;
  /** For the announcement of this instance. */
  list(): RecreatedQueue[];
}

/** For services without a database: forgotten when the instance ends. */
export class VolatileQueueRecord implements QueueRecord {
  readonly #recreated = new Map<string, { id: string; takes: string[]; at: number | undefined }>();

  /** @param onRecreated called when there is a new queue to announce */
  constructor(private readonly onRecreated: () => void) {}

  async recordMissing(queue: string, contracts: string[]): Promise<void> {
    this.#recreated.set(queue, {
      id: randomBytes(12).toString('base64url'),
      takes: contracts,
      at: undefined,
    });
  }

  async confirmRecreated(queue: string): Promise<void> {
    const recreated = this.#recreated.get(queue);
    if (!recreated || recreated.at !== undefined) return;
    recreated.at = performance.now();
    this.onRecreated();
  }

  list(): RecreatedQueue[] {
    return [...this.#recreated.values()].flatMap(({ id, takes, at }) =>
      at === undefined ? [] : { id, takes, ago: performance.now() - at },
    );
  }
}
