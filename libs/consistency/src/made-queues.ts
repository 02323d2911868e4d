import { randomBytes } from 'node:crypto';
import type { Announcement } from '@jogakbo/contract';
import type { QueueRecord } from '@jogakbo/messaging';
import type { DataSource } from 'typeorm';

type Made = Announcement['madeQueues'][number];

/**
 * Records in the database that a queue was missing, before it is declared again. An instance that is killed in between
 * leaves the record to the next one, and every later instance announces it: senders may be down for days.
 */
export class MadeQueues implements QueueRecord {
  #made: (Omit<Made, 'ago'> & { at: number })[] = [];

  /** @param onMade called when there is a new queue to announce */
  constructor(
    private readonly dataSource: DataSource,
    private readonly onMade: () => void,
  ) {}

  async recordMissing(queue: string, takes: string[]): Promise<void> {
    await this.dataSource.query(
      `INSERT INTO made_queue (queue, id, takes) VALUES ($1, $2, $3)
       ON CONFLICT (queue) DO UPDATE SET id = EXCLUDED.id, takes = EXCLUDED.takes, made_at = NULL`,
      [queue, randomBytes(12).toString('base64url'), takes],
    );
  }

  async confirmMade(queue: string): Promise<void> {
    const [, count] = (await this.dataSource.query(
      'UPDATE made_queue SET made_at = clock_timestamp() WHERE queue = $1 AND made_at IS NULL',
      [queue],
    )) as [unknown, number];
    // Senders keep their messages for seven days.
    const rows = (await this.dataSource.query(
      `SELECT id, takes, (extract(epoch FROM clock_timestamp() - made_at) * 1000)::float AS ago FROM made_queue
       WHERE made_at > now() - interval '7 days' ORDER BY queue`,
    )) as Made[];
    this.#made = rows.map(({ ago, ...made }) => ({ ...made, at: performance.now() - Math.max(0, ago) }));
    if (count > 0) this.onMade();
  }

  /** For the announcement of this instance. */
  list(): Made[] {
    return this.#made.map(({ at, ...made }) => ({ ...made, ago: performance.now() - at }));
  }
}
