import {
  encodeEvent,
  encryptFor,
  encodeRequest,
  exchanges,
  Unroutable,
  type Outgoing,
  type Publisher,
  type Recipients,
} from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import type pg from 'pg';
import { LeaderLoop } from './leader-loop.ts';
import { isEncrypted, type StorageEncryption } from './storage-encryption.ts';

/** What is to leave, as it lies in the outbox. */
export interface OutboxRow {
  id: string;
  message_id: string;
  kind: 'event' | 'command';
  name: string;
  subject: string | null;
  data: unknown;
  headers: Record<string, unknown>;
  created_at: Date;
}

/** What a transaction left in the outbox and may leave now, in its order. */
export interface PendingMessages {
  rows: OutboxRow[];
  /** Whether anything else was open when it was written. */
  behind: boolean;
}

export interface RelayOptions {
  service: string;
  databaseUrl: string;
  publisher: Publisher;
  encryption: StorageEncryption;
  recipients: Recipients;
  /** Milliseconds between looks where nobody calls; also how late a timer may fire. */
  pollEvery?: number;
}

const batchSize = 200;
/** What is due becomes a message like any other: the many that are not yet are never looked at. */
const ripen = 'UPDATE outbox SET due_at = NULL WHERE published_at IS NULL AND due_at <= now()';
const open = 'published_at IS NULL AND due_at IS NULL';
const columns = 'id, message_id, kind, name, subject, data, headers, created_at';
/** Past the commands of these names, and past what waits behind one of them for the sake of order. */
const openBeside = `
  SELECT ${columns}
  FROM outbox LEFT JOIN (
    SELECT subject, min(id) AS first FROM outbox WHERE ${open} AND name = ANY($1) GROUP BY subject
  ) AS stuck USING (subject)
  WHERE ${open} AND name <> ALL($1) AND (first IS NULL OR id < first) ORDER BY id LIMIT ${batchSize}`;
/** Milliseconds between attempts to send what nobody took. */
const tryAgainEvery = 1_000;
const cleanEvery = 60_000;
const cleanedAtOnce = 5_000;
const retention = { outbox: '7 days', inbox: '14 days' };

/**
 * Brings what transactions left in the outbox to the broker: at least once, for each queue in order per subject, nothing
 * skipped.
 *
 * A command without a consumer stays until there is one, and so does a sensitive one whose receiver has not announced
 * its key. Later messages about the same subject wait with it; all others go on.
 *
 * Of all instances of a service one relays at a time (see LeaderLoop). Reading goes by a flag and not by a position,
 * because ids are given out before they are committed: a position would step over rows whose transactions end late.
 */
export class OutboxRelay {
  readonly #logger = new Logger('OutboxRelay');
  readonly #loop: LeaderLoop;
  readonly #pollEvery: number;
  /** Commands that nobody takes, by name. The others pass them. */
  readonly #untaken = new Set<string>();
  // By a clock that nobody sets: after a time of day that was set back, all of these would wait for it to catch up.
  #triedAt = -Infinity;
  #ripenedAt = -Infinity;
  #cleanedAt = -Infinity;

  constructor(private readonly options: RelayOptions) {
    this.#pollEvery = options.pollEvery ?? 500;
    this.#loop = new LeaderLoop({
      name: 'outbox relay',
      databaseUrl: options.databaseUrl,
      pollEvery: this.#pollEvery,
      step: (client) => this.#step(client),
    });
  }

  readonly start = (): void => this.#loop.start();

  /**
   * Something was committed.
   * @param left what it was; where nothing else is open, it is published without a look at the outbox. A look that is
   *   under way may find it too: then it leaves twice
   */
  readonly wake = (left?: PendingMessages): void => {
    const publish = async (client: pg.Client): Promise<void> => {
      await this.#handOver(client, left!.rows);
    };
    if (!left || left.behind || !this.#loop.hand(publish)) this.#loop.wake();
  };
  readonly stop = (): Promise<void> => this.#loop.stop();

  async #step(client: pg.Client): Promise<boolean> {
    if (performance.now() - this.#ripenedAt > this.#pollEvery * 0.9) {
      this.#ripenedAt = performance.now();
      await client.query(ripen);
    }
    if (performance.now() - this.#triedAt > tryAgainEvery) {
      this.#triedAt = performance.now();
      this.#untaken.clear();
    }
    const untaken = this.#untaken.size;
    const rows = untaken === 0 ? await this.#readOpen(client) : await this.#readOpenBeside(client);
    const published = await this.#handOver(client, rows);
    const more = rows.length === batchSize && published > 0;
    if (performance.now() - this.#cleanedAt > cleanEvery && !(await this.#clean(client))) {
      this.#cleanedAt = performance.now();
    }
    return more || this.#untaken.size > untaken;
  }

  async #readOpen(client: pg.Client): Promise<OutboxRow[]> {
    const { rows } = await client.query<OutboxRow>({
      name: 'outbox-open',
      text: `SELECT ${columns} FROM outbox
             WHERE published_at IS NULL AND due_at IS NULL ORDER BY id LIMIT ${batchSize}`,
    });
    return rows;
  }

  /** What need not wait for a command that nobody takes. */
  async #readOpenBeside(client: pg.Client): Promise<OutboxRow[]> {
    const { rows } = await client.query<OutboxRow>(openBeside, [[...this.#untaken]]);
    return rows;
  }

  /** Publishes. Gives how many the broker has. */
  async #handOver(client: pg.Client, rows: OutboxRow[]): Promise<number> {
    if (rows.length === 0) return 0;
    const published = await this.#publishInOrder(rows);
    if (published.length > 0) {
      await client.query({
        name: 'outbox-published',
        text: 'UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])',
        values: [published],
      });
    }
    return published.length;
  }

  /**
   * Side by side, but what goes to one queue about one subject only after the broker has what came before it. Events
   * and the commands to each service have queues of their own.
   */
  async #publishInOrder(rows: OutboxRow[]): Promise<string[]> {
    const chains = Map.groupBy(rows, ({ id, kind, name, subject }) =>
      subject === null ? id : `${kind} ${name.split('.')[0]} ${subject}`,
    );
    const published: string[] = [];
    const faults: Error[] = [];
    await Promise.all(
      [...chains.values()].map(async (chain) => {
        for (const row of chain) {
          try {
            await this.options.publisher.publish(await this.#toMessage(row));
            published.push(row.id);
          } catch (error) {
            faults.push(error as Error);
            if (error instanceof Unroutable) this.#untaken.add(row.name);
            return; // what follows waits with it
          }
        }
      }),
    );
    if (faults.length > 0)
      this.#logger.warn(`${faults.length} messages wait in the outbox: ${faults[0]!.message}`);
    return published;
  }

  async #toMessage(row: OutboxRow): Promise<Outgoing> {
    if (row.kind === 'event') {
      const encoded = encodeEvent(
        {
          id: row.message_id,
          name: row.name,
          source: this.options.service,
          subject: row.subject ?? undefined,
          time: row.created_at,
          data: row.data,
        },
        row.headers,
      );
      return { exchange: exchanges.events(row.name), routingKey: row.name, ...encoded };
    }
    const encoded = encodeRequest(
      { pattern: row.name, data: await this.#encryptForReceiver(row) },
      // A command that nobody takes is a fault and stays here until somebody does.
      { messageId: row.message_id, persistent: true, mandatory: true, headers: row.headers },
    );
    return { exchange: exchanges.requests(row.name), routingKey: row.name, ...encoded };
  }

  /** @throws Unroutable while the key of the receiver, or that of the row, is not known: nothing leaves in clear */
  async #encryptForReceiver({ name, data, message_id }: OutboxRow): Promise<unknown> {
    if (!isEncrypted(data)) return data;
    const { encryption, recipients } = this.options;
    const [service] = name.split('.', 1) as [string];
    const key = recipients.getKey(service);
    if (!key) throw new Unroutable(`no key of ${service} is known that ${name} can be encrypted with`);
    let clear: unknown;
    try {
      clear = encryption.decrypt(data, `outbox ${message_id}`);
    } catch (error) {
      throw new Unroutable((error as Error).message);
    }
    return encryptFor(key, clear, name);
  }

  /** A little at a time, for messages wait meanwhile. Gives whether there is more. */
  async #clean(client: pg.Client): Promise<boolean> {
    const outbox = await client.query(
      `DELETE FROM outbox WHERE id IN
         (SELECT id FROM outbox WHERE published_at < now() - interval '${retention.outbox}' LIMIT ${cleanedAtOnce})`,
    );
    const inbox = await client.query(
      `DELETE FROM inbox WHERE (key, sender) IN
         (SELECT key, sender FROM inbox WHERE received_at < now() - interval '${retention.inbox}' LIMIT ${cleanedAtOnce})`,
    );
    return outbox.rowCount === cleanedAtOnce || inbox.rowCount === cleanedAtOnce;
  }
}
