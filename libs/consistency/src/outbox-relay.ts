import { setTimeout as sleep } from 'node:timers/promises';
import { encodeEvent, encodeRequest, exchanges, type Outgoing, type Publisher } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import pg from 'pg';

interface Row {
  id: string;
  message_id: string;
  kind: 'event' | 'command';
  name: string;
  subject: string | null;
  data: unknown;
  headers: Record<string, unknown>;
  created_at: Date;
}

export interface RelayOptions {
  service: string;
  databaseUrl: string;
  publisher: Publisher;
  /** Milliseconds between looks where nobody calls; also how late a timer may fire. */
  pollEvery?: number;
}

const batchSize = 200;
const lockKey = `outbox relay`;
/** What is due becomes a message like any other: the many that are not yet are never looked at. */
const ripen = 'UPDATE outbox SET due_at = NULL WHERE published_at IS NULL AND due_at <= now()';
const retention = { outbox: '7 days', inbox: '14 days' };

/**
 * Brings what transactions left in the outbox to the broker: at least once, in order per subject, nothing skipped.
 *
 * Of all instances of a service one relays at a time (a session-level advisory lock, gone with its holder); the others
 * wake it with NOTIFY after their commits. Reading goes by a flag and not by a position, because ids are given out
 * before they are committed: a position would step over rows whose transactions end late.
 */
export class OutboxRelay {
  readonly #logger = new Logger('OutboxRelay');
  readonly #stopping = new AbortController();
  #client: pg.Client | undefined;
  #leading = false;
  #wanted = true;
  #wakeUp = () => {};
  #done: Promise<void> | undefined;

  constructor(private readonly options: RelayOptions) {}

  start(): void {
    this.#done = this.#run();
  }

  /** Something was committed. Cheap: many calls become one look, and one NOTIFY where another instance relays. */
  readonly wake = (): void => {
    if (this.#wanted) return;
    this.#wanted = true;
    if (this.#leading) this.#wakeUp();
    else if (this.#client) {
      setTimeout(() => {
        this.#wanted = false;
        this.#client?.query('NOTIFY outbox').catch(() => {});
      }, 2).unref();
    }
  };

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const client = new pg.Client({
        connectionString: this.options.databaseUrl,
        application_name: `${this.options.service} outbox relay`,
        connectionTimeoutMillis: 5_000,
        keepAlive: true,
      });
      try {
        const lost = new Promise<never>((_, reject) => {
          client.on('error', reject);
          client.on('end', () => reject(new Error('the connection to the database was lost')));
        });
        lost.catch(() => {});
        await client.connect();
        this.#client = client;
        await Promise.race([this.#lead(client), lost]);
      } catch (error) {
        if (!this.#stopping.signal.aborted) this.#logger.warn(`starts over: ${(error as Error).message}`);
        await this.#pause(500);
      } finally {
        this.#leading = false;
        this.#client = undefined;
        await client.end().catch(() => {});
      }
    }
  }

  async #lead(client: pg.Client): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const { rows } = await client.query<{ mine: boolean }>(
        'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS mine',
        [lockKey],
      );
      if (rows[0]?.mine) break;
      this.#wanted = false;
      await this.#pause(1_000);
    }
    client.on('notification', () => {
      this.#wanted = true;
      this.#wakeUp();
    });
    await client.query('LISTEN outbox');
    // What is lost with a dying database are marks of what was published: it is then published again, and known.
    await client.query('SET synchronous_commit = off');
    this.#leading = true;
    const pollEvery = this.options.pollEvery ?? 500;
    let ripenedAt = 0;
    let cleanedAt = 0;
    while (!this.#stopping.signal.aborted) {
      this.#wanted = false;
      if (Date.now() - ripenedAt > pollEvery * 0.9) {
        ripenedAt = Date.now();
        await client.query(ripen);
      }
      const more = await this.#relay(client);
      if (Date.now() - cleanedAt > 60_000) {
        await this.#clean(client);
        cleanedAt = Date.now();
      }
      if (!more && !this.#wanted) await this.#untilWoken(pollEvery);
    }
  }

  /** Publishes what is open. Gives whether there may be more at once. */
  async #relay(client: pg.Client): Promise<boolean> {
    const { rows } = await client.query<Row>({
      name: 'outbox-open',
      text: `SELECT id, message_id, kind, name, subject, data, headers, created_at FROM outbox
             WHERE published_at IS NULL AND due_at IS NULL ORDER BY id LIMIT ${batchSize}`,
    });
    if (rows.length === 0) return false;
    const published = await this.#publishInOrder(rows);
    if (published.length > 0) {
      await client.query({
        name: 'outbox-published',
        text: 'UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])',
        values: [published],
      });
    }
    return rows.length === batchSize && published.length > 0;
  }

  /** Side by side, but what concerns one subject only after the broker has what came before it. */
  async #publishInOrder(rows: Row[]): Promise<string[]> {
    const bySubject = Map.groupBy(rows, ({ id, subject }) => subject ?? `row ${id}`);
    const published: string[] = [];
    const faults: Error[] = [];
    await Promise.all(
      [...bySubject.values()].map(async (chain) => {
        for (const row of chain) {
          try {
            await this.options.publisher.publish(this.#toMessage(row));
            published.push(row.id);
          } catch (error) {
            faults.push(error as Error);
            return; // what follows waits with it
          }
        }
      }),
    );
    if (faults.length > 0)
      this.#logger.warn(`${faults.length} messages wait in the outbox: ${faults[0]!.message}`);
    return published;
  }

  #toMessage(row: Row): Outgoing {
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
      return { exchange: exchanges.events, routingKey: row.name, ...encoded };
    }
    const encoded = encodeRequest(
      { pattern: row.name, data: row.data },
      // A command that nobody takes is a fault and stays here until somebody does.
      { messageId: row.message_id, persistent: true, mandatory: true, headers: row.headers },
    );
    return { exchange: exchanges.commands, routingKey: row.name, ...encoded };
  }

  async #clean(client: pg.Client): Promise<void> {
    await client.query(
      `DELETE FROM outbox WHERE id IN
         (SELECT id FROM outbox WHERE published_at < now() - interval '${retention.outbox}' LIMIT 5000)`,
    );
    await client.query(
      `DELETE FROM inbox WHERE key IN
         (SELECT key FROM inbox WHERE received_at < now() - interval '${retention.inbox}' LIMIT 5000)`,
    );
  }

  async #untilWoken(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = () => {};
  }

  #pause(milliseconds: number): Promise<unknown> {
    return sleep(milliseconds, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {});
  }

  /** Ends after the batch at hand. What is still open leaves with the next start, or with another instance. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp();
    await this.#done;
  }
}
