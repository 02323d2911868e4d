import { setTimeout as sleep } from 'node:timers/promises';
import type { Announcement } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { OutboxRelay } from './outbox-relay.ts';
import { republishSql } from './republish.ts';
import { WakeableSleep } from './wakeable-sleep.ts';

/**
 * Milliseconds. `createdAt` is never too early, and `published_at` never too late. The margin covers a clock of the
 * database that is set back.
 */
const margin = 5_000;
const republishBatchSize = 500;
/** A service loses few queues. A stolen login could report new ones without end: all senders publish again for each. */
const maxPerHour = 60;
const maxWaiting = 64;
const maxRemembered = 1_000;
/** Milliseconds until queues above that limit are tried again. */
const limitedPauseMs = 60_000;
/** Milliseconds until the next attempt after an error of the database. */
const failedPauseMs = 5_000;
/** Milliseconds until an instance that does not relay checks whether the leader has recovered the queue. */
const followerPauseMs = 1_000;

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
 * Republishes messages that were lost with a queue. Instances report in their announcements which queues had to be
 * created (`RecreatedQueues`). This service then publishes all messages for that queue that are still in its outbox, with
 * their original ids; receivers ignore duplicates. Even a queue that was deleted by hand loses nothing of the last seven
 * days (the outbox's retention), however late either side returns.
 *
 * The instance that relays does this, between two batches: then every message is either marked as published, and is
 * selected here, or will be published after the queue was created. Messages that are being published are neither.
 *
 * Every queue is recovered once. A service gets 60 recoveries an hour at most; further queues wait.
 */
export class QueueRecovery {
  readonly #logger = new Logger('QueueRecovery');
  /** Recovered queues, the newest last. The table knows them all. */
  readonly #recovered = new Set<string>();
  readonly #waiting = new Map<string, RecreatedQueue>();
  #work: Promise<void> | undefined;
  #stopping = false;
  readonly #idle = new WakeableSleep();

  constructor(
    private readonly dataSource: DataSource,
    private readonly relay: Pick<OutboxRelay, 'runBetweenBatches'>,
  ) {}

  /** Call it with every announcement received. Returns immediately. */
  readonly receiveAnnouncement = ({ service, madeQueues }: Announcement): void => {
    if (this.#stopping) return;
    const before = this.#waiting.size;
    let waiting = [...this.#waiting.values()].filter((one) => one.service === service).length;
    for (const { id, takes, ago } of madeQueues) {
      const name = `${service} ${id}`;
      if (takes.length === 0 || this.#recovered.has(name) || this.#waiting.has(name)) continue;
      if (++waiting > maxWaiting) break;
      this.#waiting.set(name, { service, id, contracts: takes, createdAt: performance.now() - ago });
    }
    if (this.#waiting.size === before) return;
    this.#idle.wake();
    this.#work ??= this.#recoverWaiting().finally(() => (this.#work = undefined));
  };

  /** Never throws. */
  async #recoverWaiting(): Promise<void> {
    while (!this.#stopping && this.#waiting.size > 0) {
      let pauseMs = Infinity;
      for (const [name, queue] of this.#waiting) {
        if (this.#stopping) return;
        const retryMs = await this.#recover(queue).catch((error: Error) => {
          this.#logger.warn(`the messages of a recreated queue are not republished yet: ${error.message}`);
          return failedPauseMs;
        });
        if (retryMs !== undefined) {
          pauseMs = Math.min(pauseMs, retryMs);
          continue;
        }
        this.#remember(name);
        this.#waiting.delete(name);
      }
      if (!this.#stopping && this.#waiting.size > 0) await this.#idle.sleep(pauseMs);
    }
  }

  #remember(name: string): void {
    this.#recovered.add(name);
    if (this.#recovered.size > maxRemembered) this.#recovered.delete(this.#recovered.keys().next().value!);
  }

  /**
   * Skips a queue that this service has recovered before.
   * @returns undefined once it is recovered, else milliseconds until the next attempt
   */
  async #recover({ service, id, contracts, createdAt }: RecreatedQueue): Promise<number | undefined> {
    const [{ isRecovered, recent }] = (await this.dataSource.query(
      `SELECT count(*) FILTER (WHERE id = $2) > 0 AS "isRecovered",
         (count(*) FILTER (WHERE at > now() - interval '1 hour'))::int AS recent
       FROM recovered_queue WHERE service = $1`,
      [service, id],
    )) as [{ isRecovered: boolean; recent: number }];
    if (isRecovered) return undefined;
    if (recent >= maxPerHour) return limitedPauseMs;
    if (!(await this.#republish(contracts, createdAt))) return followerPauseMs;
    // Committed with `synchronous_commit`, unlike the updates by the leader: after a crash it is there only with them.
    await this.dataSource.query(
      `WITH old AS (DELETE FROM recovered_queue WHERE at < now() - interval '14 days')
       INSERT INTO recovered_queue (service, id) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
      [service, id],
    );
    return undefined;
  }

  /**
   * Republishes in small batches, so that new messages do not wait behind all of them.
   * @param createdAt when the queue was created, by this process's `performance.now()`; rows have the time of the database
   * @returns false if another instance relays, or this one stops
   */
  async #republish(contracts: string[], createdAt: number): Promise<boolean> {
    let count = 0;
    for (let last: string | undefined = '0'; last;) {
      if (count > 0) await sleep(1_000);
      if (this.#stopping) return false;
      const ids: string[] | undefined = await this.#republishBatch(contracts, createdAt, last);
      if (!ids) return false;
      count += ids.length;
      last = ids.length < republishBatchSize ? undefined : ids.at(-1);
    }
    if (count > 0)
      this.#logger.log(`${count} messages of a recreated queue are republished: ${contracts.join(', ')}`);
    return true;
  }

  /** Returns the ids in ascending order; undefined if another instance relays. */
  #republishBatch(contracts: string[], createdAt: number, after: string): Promise<string[] | undefined> {
    return this.relay.runBetweenBatches(async (client) => {
      const { rows } = await client.query<{ id: string }>(
        `UPDATE outbox SET ${republishSql} WHERE id IN (
           SELECT id FROM outbox
           WHERE published_at < now() - $1 * interval '1 millisecond' AND name = ANY($2) AND id > $3
           ORDER BY id LIMIT ${republishBatchSize})
         RETURNING id::text`,
        [performance.now() - createdAt - margin, contracts, after],
      );
      return rows.map(({ id }) => id).sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1));
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#idle.wake();
    await this.#work;
  }
}
