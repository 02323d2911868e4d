import { setTimeout as sleep } from 'node:timers/promises';
import type { Announcement } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';

/** Milliseconds: an announcement may take so long, and what left while the queue was made is sent again too. */
const margin = 5_000;
const sentAtOnce = 500;

/**
 * Sends again what others lost together with a queue. An instance that had to make its queue says so in its
 * announcement; whatever this service ever sent there and still has in its outbox then leaves once more, with the ids
 * it had: whoever handled it ignores it. So even a queue that was deleted by hand loses nothing of the last seven days
 * (the outbox's retention), however late either side comes back.
 */
export class QueueRecovery {
  readonly #logger = new Logger('LostQueues');
  readonly #known = new Set<string>();
  #work: Promise<void> = Promise.resolve();
  #stopping = false;

  /** @param wake called after every batch that may leave again */
  constructor(
    private readonly dataSource: DataSource,
    private readonly wake: () => void,
  ) {}

  /** To be given every announcement that is heard. Returns at once. */
  readonly hear = ({ instance, madeQueues }: Announcement): void => {
    for (const { id, takes, ago } of madeQueues) {
      if (takes.length === 0) continue;
      const name = `${instance} ${id}`;
      if (this.#known.has(name)) continue;
      this.#known.add(name);
      const madeAt = performance.now() - ago;
      this.#work = this.#work
        .then(() => this.#sendAgain(takes, madeAt))
        .catch((error: Error) => {
          this.#known.delete(name); // the next announcement begins anew
          this.#logger.warn(`what a queue lost is not sent again yet: ${error.message}`);
        });
    }
  };

  /**
   * A few at a time: what is new does not wait behind all of them.
   * @param madeAt when the queue was made, by this process's `performance.now()`; the rows have the time of the database
   */
  async #sendAgain(takes: string[], madeAt: number): Promise<void> {
    let sent = 0;
    while (!this.#stopping) {
      const [, count] = (await this.dataSource.query(
        `UPDATE outbox SET published_at = NULL WHERE id IN (
           SELECT id FROM outbox
           WHERE published_at < now() - $1 * interval '1 millisecond' AND name = ANY($2)
           ORDER BY id LIMIT ${sentAtOnce})`,
        [performance.now() - madeAt - margin, takes],
      )) as [unknown, number];
      if (count > 0) this.wake();
      sent += count;
      if (count < sentAtOnce) break;
      await sleep(1_000);
    }
    if (sent > 0)
      this.#logger.log(`${sent} messages leave again, for a queue that was lost: ${takes.join(', ')}`);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#work;
  }
}
