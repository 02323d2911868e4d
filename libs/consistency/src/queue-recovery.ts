import { setTimeout as sleep } from 'node:timers/promises';
import type { Announcement } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { repeatSql } from './outbox-repeats.ts';
import { WakeableSleep } from './wakeable-sleep.ts';

/** Milliseconds: the longest delay of an announcement. Messages published during the queue's creation are sent again too. */
const margin = 5_000;
const sentAtOnce = 500;
/** A service loses few queues. A stolen login could report new ones without end: each makes all senders send again. */
const maxPerHour = 60;
const maxWaiting = 64;
const maxRemembered = 1_000;
/** Milliseconds until queues above that limit are tried again. */
const limitedPauseMs = 60_000;
/** Milliseconds until the next attempt after an error of the database. */
const failedPauseMs = 5_000;

/** A queue that its service had to create, because it was missing. What it had held is lost. */
interface RecreatedQueue {
  service: string;
  id: string;
  /** Names of the contracts whose messages it takes. */
  contracts: string[];
  /** By this process's `performance.now()`. */
  createdAt: number;
}

/**
 * Sends messages again that were lost with a queue. Instances report in their announcements which queues had to be
 * created (`RecreatedQueues`). This service then publishes all messages for that queue that are still in its outbox, with their
 * original ids; receivers ignore duplicates. Even a queue that was deleted by hand loses nothing of the last seven days
 * (the outbox's retention), however late either side returns.
 *
 * Every queue is served once; instances that learn of it at the same moment may both serve it. A service is served 60 times
 * an hour at most; further queues wait.
 */
export class QueueRecovery {
  readonly #logger = new Logger('QueueRecovery');
  /** Served queues, the newest last. The table knows them all. */
  readonly #served = new Set<string>();
  readonly #waiting = new Map<string, RecreatedQueue>();
  #work: Promise<void> | undefined;
  #stopping = false;
  readonly #pause = new WakeableSleep();

  /** @param wake called after every batch that is ready to be published */
  constructor(
    private readonly dataSource: DataSource,
    private readonly wake: () => void,
  ) {}

  /** Call it with every announcement received. Returns immediately. */
  readonly receiveAnnouncement = ({ service, madeQueues }: Announcement): void => {
    if (this.#stopping) return;
    const before = this.#waiting.size;
    let waiting = [...this.#waiting.values()].filter((one) => one.service === service).length;
    for (const { id, takes, ago } of madeQueues) {
      const name = `${service} ${id}`;
      if (takes.length === 0 || this.#served.has(name) || this.#waiting.has(name)) continue;
      if (++waiting > maxWaiting) break;
      this.#waiting.set(name, { service, id, contracts: takes, createdAt: performance.now() - ago });
    }
    if (this.#waiting.size === before) return;
    this.#pause.wake();
    this.#work ??= this.#serveWaiting().finally(() => (this.#work = undefined));
  };

  /** Never throws. */
  async #serveWaiting(): Promise<void> {
    while (!this.#stopping && this.#waiting.size > 0) {
      let pauseMs = limitedPauseMs;
      for (const [name, queue] of this.#waiting) {
        if (this.#stopping) return;
        try {
          if (!(await this.#recover(queue))) continue;
          this.#remember(name);
          this.#waiting.delete(name);
        } catch (error) {
          pauseMs = failedPauseMs;
          const { message } = error as Error;
          this.#logger.warn(`the messages of a recreated queue are not sent again yet: ${message}`);
        }
      }
      if (this.#waiting.size > 0) await this.#pause.sleep(pauseMs);
    }
  }

  #remember(name: string): void {
    this.#served.add(name);
    if (this.#served.size > maxRemembered) this.#served.delete(this.#served.keys().next().value!);
  }

  /** Skips a queue that this service has served before. @returns false if its service must wait */
  async #recover({ service, id, contracts, createdAt }: RecreatedQueue): Promise<boolean> {
    const [{ isServed, recent }] = (await this.dataSource.query(
      `SELECT count(*) FILTER (WHERE id = $2) > 0 AS "isServed",
         (count(*) FILTER (WHERE at > now() - interval '1 hour'))::int AS recent
       FROM recovered_queue WHERE service = $1`,
      [service, id],
    )) as [{ isServed: boolean; recent: number }];
    if (isServed) return true;
    if (recent >= maxPerHour) return false;
    await this.#sendAgain(contracts, createdAt);
    if (this.#stopping) return false;
    await this.dataSource.query(
      `WITH old AS (DELETE FROM recovered_queue WHERE at < now() - interval '14 days')
       INSERT INTO recovered_queue (service, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
      [service, id],
    );
    return true;
  }

  /**
   * Sends in small batches, so that new messages do not wait behind all of them.
   * @param createdAt when the queue was created, by this process's `performance.now()`; rows have the time of the database
   */
  async #sendAgain(contracts: string[], createdAt: number): Promise<void> {
    let sent = 0;
    let last = '0';
    while (!this.#stopping) {
      const [ids] = (await this.dataSource.query(
        `UPDATE outbox SET ${repeatSql} WHERE id IN (
           SELECT id FROM outbox
           WHERE published_at < now() - $1 * interval '1 millisecond' AND name = ANY($2) AND id > $3
           ORDER BY id LIMIT ${sentAtOnce})
         RETURNING id::text`,
        [performance.now() - createdAt - margin, contracts, last],
      )) as [{ id: string }[], number];
      if (ids.length > 0) this.wake();
      sent += ids.length;
      if (ids.length < sentAtOnce) break;
      last = ids.map(({ id }) => id).reduce((a, b) => (BigInt(a) > BigInt(b) ? a : b));
      await sleep(1_000);
    }
    if (sent > 0)
      this.#logger.log(`${sent} messages of a recreated queue are sent again: ${contracts.join(', ')}`);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pause.wake();
    await this.#work;
  }
}
