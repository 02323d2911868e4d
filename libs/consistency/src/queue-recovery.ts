import { setTimeout as sleep } from 'node:timers/promises';
import type { Announcement } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';

/** Milliseconds: the longest delay of an announcement. Messages published during the queue's creation are sent again too. */
const margin = 5_000;
const sentAtOnce = 500;

interface Lost {
  service: string;
  id: string;
  takes: string[];
  /** By this process's `performance.now()`. */
  madeAt: number;
}

/**
 * Sends messages again that were lost with a queue. Instances report in their announcements which queues had to be
 * created (`MadeQueues`). This service then publishes all messages for that queue that are still in its outbox, with their
 * original ids; receivers ignore duplicates. Even a queue that was deleted by hand loses nothing of the last seven days
 * (the outbox's retention), however late either side returns.
 */
export class QueueRecovery {
  readonly #logger = new Logger('QueueRecovery');
  readonly #known = new Set<string>();
  #work: Promise<void> = Promise.resolve();
  #stopping = false;

  /** @param wake called after every batch that is ready to be published */
  constructor(
    private readonly dataSource: DataSource,
    private readonly wake: () => void,
  ) {}

  /** Call it with every announcement received. Returns immediately. */
  readonly receiveAnnouncement = ({ service, madeQueues }: Announcement): void => {
    for (const { id, takes, ago } of madeQueues) {
      if (takes.length === 0) continue;
      const name = `${service} ${id}`;
      if (this.#known.has(name)) continue;
      this.#known.add(name);
      const madeAt = performance.now() - ago;
      this.#work = this.#work
        .then(() => this.#recover({ service, id, takes, madeAt }))
        .catch((error: Error) => {
          this.#known.delete(name); // the next announcement tries again
          this.#logger.warn(`the messages of a lost queue are not sent again yet: ${error.message}`);
        });
    }
  };

  /** Skips a queue that this service has served before. Instances that learn of it together may both serve it. */
  async #recover({ service, id, takes, madeAt }: Lost): Promise<void> {
    const known = await this.dataSource.query(
      'SELECT 1 FROM recovered_queue WHERE service = $1 AND id = $2',
      [service, id],
    );
    if ((known as unknown[]).length > 0) return;
    await this.#sendAgain(takes, madeAt);
    if (this.#stopping) return;
    await this.dataSource.query(
      `WITH old AS (DELETE FROM recovered_queue WHERE at < now() - interval '14 days')
       INSERT INTO recovered_queue (service, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
      [service, id],
    );
  }

  /**
   * Sends in small batches, so that new messages do not wait behind all of them.
   * @param madeAt when the queue was created, by this process's `performance.now()`; rows have the time of the database
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
    if (sent > 0) this.#logger.log(`${sent} messages of a lost queue are sent again: ${takes.join(', ')}`);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#work;
  }
}
