import { randomBytes } from 'node:crypto';
import type { Announcement } from '@jogakbo/contract';
import type { QueueRecord } from '@jogakbo/messaging';
import type { DataSource } from 'typeorm';

type RecreatedQueue = Announcement['madeQueues'][number];

/**
 * Records in the database that a queue was missing, before it is declared again. An instance that is killed in between
 * leaves the record to the next one, and every later instance announces it: senders may be down for days. `QueueRecovery` is
 * the other side.
 */
export class RecreatedQueues implements QueueRecord {
  #recreated: (Omit<RecreatedQueue, 'ago'> & { at: number })[] = [];

  /** @param onRecreated called when there is a new queue to announce */
  constructor(
    private readonly dataSource: DataSource,
    private readonly onRecreated: () => void,
  ) {}

  async recordMissing(queue: string, contracts: string[]): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO made_queue (queue, id, takes) VALUES ($1, $2, $3)
       ON CONFLICT (queue) DO UPDATE SET id = EXCLUDED.id, takes = EXCLUDED.takes, made_at = NULL`,
      [queue, randomBytes(12).toString('base64url'), contracts],
    );
  }

  async confirmRecreated(queue: string): Promise<void> {
    const [, count] = (await this.dataSource.query(
      'UPDATE made_queue SET made_at = clock_timestamp() WHERE queue = $1 AND made_at IS NULL',
      [queue],
    )) as [unknown, number];
    // Senders keep their messages for seven days.
    const rows = (await this.dataSource.query(
      `SELECT id, takes, (extract(epoch FROM clock_timestamp() - made_at) * 1000)::float AS ago FROM made_queue
       WHERE made_at > now() - interval '7 days' ORDER BY queue`,
    )) as RecreatedQueue[];
    this.#recreated = rows.map(({ ago, ...queue }) => ({
      ...queue,
      at: performance.now() - Math.max(0, ago),
    }));
    if (count > 0) this.onRecreated();
  }

  /** For the announcement of this instance. */
  list(): RecreatedQueue[] {
    return this.#recreated.map(({ at, ...queue }) => ({ ...queue, ago: performance.now() - at }));
  }
}
