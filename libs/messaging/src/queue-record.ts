import { randomBytes } from 'node:crypto';
import type { Announcement } from '@jogakbo/contract';

type Made = Announcement['madeQueues'][number];

/**
 * Remembers which queues of a service were missing: their messages are lost. Announced as `madeQueues` once they are declared
 * again, so that senders publish the messages of the last minutes again.
 */
export interface QueueRecord {
  /**
   * Called before a missing queue is declared; it is not declared if this throws.
   * @param takes the contracts whose messages the queue held: senders publish these again
   */
  recordMissing(queue: string, takes: string[]): Promise<void>;
  /** Called each time a queue is consumed: it exists with all its bindings. */
  confirmMade(queue: string): Promise<void>;
  /** For the announcement of this instance. */
  list(): Made[];
}

/** For services without a database: forgotten when the instance ends. */
export class VolatileQueueRecord implements QueueRecord {
  readonly #made = new Map<string, { id: string; takes: string[]; at: number | undefined }>();

  /** @param onMade called when there is a new queue to announce */
  constructor(private readonly onMade: () => void) {}

  async recordMissing(queue: string, takes: string[]): Promise<void> {
    this.#made.set(queue, { id: randomBytes(12).toString('base64url'), takes, at: undefined });
  }

  async confirmMade(queue: string): Promise<void> {
    const made = this.#made.get(queue);
    if (!made || made.at !== undefined) return;
    made.at = performance.now();
    this.onMade();
  }

  list(): Made[] {
    return [...this.#made.values()].flatMap(({ id, takes, at }) =>
      at === undefined ? [] : { id, takes, ago: performance.now() - at },
    );
  }
}
