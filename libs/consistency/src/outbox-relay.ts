import {
  encodeEvent,
  encryptFor,
  encodeRequest,
  exchanges,
  Unconfirmed,
  Unroutable,
  type Publication,
  type Publisher,
  type Recipients,
} from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import type pg from 'pg';
import { LeaderLoop } from './leader-loop.ts';
import type { OutboxRow, PendingMessages } from './outbox.ts';
import { isEncrypted, type StorageEncryption } from './storage-encryption.ts';

export interface RelayOptions {
  service: string;
  databaseUrl: string;
  publisher: Publisher;
  encryption: StorageEncryption;
  recipients: Recipients;
  /** Milliseconds between polls without a wake-up; also the longest delay of a timer. */
  pollEvery?: number;
  /** Milliseconds between reports of messages that cannot be decrypted. Default: 10 minutes. */
  reportEvery?: number;
}

const batchSize = 200;
/** Turns due timers into ordinary messages, so that polls need not read the future ones. */
const releaseDueSql = 'UPDATE outbox SET due_at = NULL WHERE published_at IS NULL AND due_at <= now()';
const isUnpublishedSql = 'published_at IS NULL AND due_at IS NULL';
const columns =
  'id, message_id, kind, name, subject, data, headers, created_at, statement_timestamp() AS read_at';
/** Skips messages with these names or ids, and the later messages that must keep their order after one of them. */
const selectUnblockedSql = `
  SELECT ${columns}
  FROM outbox LEFT JOIN (
    SELECT subject, min(id) AS first FROM outbox
    WHERE ${isUnpublishedSql} AND (name = ANY($1) OR id = ANY($2::bigint[])) GROUP BY subject
  ) AS stuck USING (subject)
  WHERE ${isUnpublishedSql} AND name <> ALL($1) AND id <> ALL($2::bigint[]) AND (first IS NULL OR id < first) ORDER BY id LIMIT ${batchSize}`;
/** Milliseconds between attempts to publish messages with blocked names. */
const retryEvery = 1_000;
const cleanEvery = 60_000;
const cleanBatchSize = 5_000;
/**
 * The inbox of a receiver must remember a message for longer than the outbox can repeat it. The outbox counts from the first
 * publication: a repetition does not extend it.
 */
const retention = { outbox: '7 days', inbox: '14 days' };

/** A row was encrypted with a key that the service no longer has. */
class Undecryptable extends Error {}

/**
 * Publishes the messages of the outbox: at least once, in order for each queue and subject, without gaps.
 *
 * A command without a consumer waits for one, and all commands of that name with it: they have the same queue. A sensitive
 * command waits until its receiver has announced a key. A command that cannot be decrypted waits for a start with its key
 * in SERVICE_KEY. An event needs no consumer. It waits, with all events of that name, if the broker does not confirm it: a
 * queue bound for it has no leader. Later messages about the same subject wait, too; all others continue.
 *
 * One instance of a service relays at a time (see LeaderLoop). It selects rows by a flag and not by a position: ids are
 * assigned before the commit, so a position would skip rows whose transactions end late.
 */
export class OutboxRelay {
  readonly #logger = new Logger('OutboxRelay');
  readonly #loop: LeaderLoop;
  readonly #pollEvery: number;
  /** Names of commands and events that cannot be published now: unroutable or unconfirmed. Other messages overtake these. */
  readonly #blockedNames = new Set<string>();
  /** Ids of rows that this process cannot decrypt. Their keys can only come with another SERVICE_KEY, at a start. */
  readonly #undecryptableIds = new Set<string>();
  // Monotonic times: if the time of day were set back, all of these would wait for it.
  #triedAt = -Infinity;
  #releasedAt = -Infinity;
  #cleanedAt = -Infinity;
  /** The first attempt to publish reports them, too. */
  #reportedAt = performance.now();

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
   * Requests publication after a commit.
   * @param pending the committed messages; published without reading the outbox if no others wait. A concurrent poll may
   *   find them too and publish them twice
   */
  readonly wake = (pending?: PendingMessages): void => {
    const publish = async (client: pg.Client): Promise<void> => {
      await this.#publishAndMark(client, pending!.rows);
    };
    if (!pending || pending.othersWait || !this.#loop.offerTask(publish)) this.#loop.wake();
  };
  readonly stop = (): Promise<void> => this.#loop.stop();

  /** Runs a task while this instance publishes nothing, and no other instance can mark messages. See `LeaderLoop`. */
  readonly runBetweenBatches: LeaderLoop['runBetweenSteps'] = (task) => this.#loop.runBetweenSteps(task);

  async #step(client: pg.Client): Promise<boolean> {
    await this.#releaseDueMessages(client);
    const more = await this.#publishNext(client);
    if (performance.now() - this.#cleanedAt > cleanEvery && !(await this.#clean(client))) {
      this.#cleanedAt = performance.now();
    }
    await this.#reportUndecryptable(client);
    return more;
  }

  async #releaseDueMessages(client: pg.Client): Promise<void> {
    if (performance.now() - this.#releasedAt <= this.#pollEvery * 0.9) return;
    this.#releasedAt = performance.now();
    await client.query(releaseDueSql);
  }

  /** Publishes the next batch. Returns whether other messages can be published at once. */
  async #publishNext(client: pg.Client): Promise<boolean> {
    const isAttempt = performance.now() - this.#triedAt > retryEvery;
    if (isAttempt) this.#blockedNames.clear();
    const blocked = this.#countBlocked();
    const rows = blocked === 0 ? await this.#readUnpublished(client) : await this.#readUnblocked(client);
    const published = await this.#publishAndMark(client, rows);
    // After the attempt, which takes seconds if a queue does not confirm: others are published before the next one.
    if (isAttempt) this.#triedAt = performance.now();
    const isFull = rows.length === batchSize && published > 0;
    // Messages that are blocked since this batch may have hidden others.
    return isFull || this.#countBlocked() > blocked;
  }

  /** Reports them repeatedly: they wait until a person adds a key. */
  async #reportUndecryptable(client: pg.Client): Promise<void> {
    if (this.#undecryptableIds.size === 0) return;
    if (performance.now() - this.#reportedAt < (this.options.reportEvery ?? 600_000)) return;
    this.#reportedAt = performance.now();
    const { rows } = await client.query<{ id: string; message_id: string }>(
      `SELECT id, message_id FROM outbox WHERE id = ANY($1::bigint[]) AND ${isUnpublishedSql} ORDER BY id`,
      [[...this.#undecryptableIds]],
    );
    this.#undecryptableIds.clear();
    for (const { id } of rows) this.#undecryptableIds.add(id);
    if (rows.length > 0)
      this.#logger.error(
        `${rows.length} messages cannot be decrypted and wait in the outbox, the first is ${rows[0]!.message_id}: append the previous key to SERVICE_KEY and restart`,
      );
  }

  #countBlocked(): number {
    return this.#blockedNames.size + this.#undecryptableIds.size;
  }

  async #readUnpublished(client: pg.Client): Promise<OutboxRow[]> {
    const { rows } = await client.query<OutboxRow>({
      name: 'outbox-open',
      text: `SELECT ${columns} FROM outbox
             WHERE published_at IS NULL AND due_at IS NULL ORDER BY id LIMIT ${batchSize}`,
    });
    return rows;
  }

  /** Reads the messages that need not wait for another one. */
  async #readUnblocked(client: pg.Client): Promise<OutboxRow[]> {
    const { rows } = await client.query<OutboxRow>(selectUnblockedSql, [
      [...this.#blockedNames],
      [...this.#undecryptableIds],
    ]);
    return rows;
  }

  /**
   * Publishes, and returns how many messages the broker confirmed. They are marked with a time before the attempt: a message
   * is marked as published before a queue existed if it may have missed that queue (see QueueRecovery).
   */
  async #publishAndMark(client: pg.Client, rows: OutboxRow[]): Promise<number> {
    const [first] = rows;
    if (!first) return 0;
    const published = await this.#publishInOrder(rows);
    if (published.length > 0) {
      await client.query({
        name: 'outbox-published',
        text: 'UPDATE outbox SET published_at = $2 WHERE id = ANY($1::bigint[])',
        values: [published, first.read_at],
      });
    }
    return published.length;
  }

  /**
   * Publishes concurrently, but waits for the confirm before the next message of the same queue and subject. Events, and
   * the commands to each service, have separate queues.
   */
  async #publishInOrder(rows: OutboxRow[]): Promise<string[]> {
    const chains = Map.groupBy(rows, ({ id, kind, name, subject }) =>
      subject === null ? id : `${kind} ${name.split('.')[0]} ${subject}`,
    );
    const published: string[] = [];
    const errors: Error[] = [];
    await Promise.all(
      [...chains.values()].map(async (chain) => {
        for (const row of chain) {
          try {
            await this.options.publisher.publish(await this.#toMessage(row));
            published.push(row.id);
          } catch (error) {
            errors.push(error as Error);
            if (error instanceof Undecryptable) this.#undecryptableIds.add(row.id);
            else if (error instanceof Unroutable || error instanceof Unconfirmed)
              this.#blockedNames.add(row.name);
            return; // later messages wait with it
          }
        }
      }),
    );
    if (errors.length > 0)
      this.#logger.warn(`${errors.length} messages wait in the outbox: ${errors[0]!.message}`);
    return published;
  }

  async #toMessage(row: OutboxRow): Promise<Publication> {
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
      // An unroutable command is an error and stays in the outbox until a queue takes it.
      { messageId: row.message_id, persistent: true, mandatory: true, headers: row.headers },
    );
    return { exchange: exchanges.requests(row.name), routingKey: row.name, ...encoded };
  }

  /**
   * Returns the data to publish. Sensitive data is encrypted in the outbox: encrypts it for the receiver instead.
   * @throws Unroutable until a key of the receiver is known
   * @throws Undecryptable
   */
  async #encryptForReceiver({ name, data, message_id }: OutboxRow): Promise<unknown> {
    if (!isEncrypted(data)) return data;
    const { encryption, recipients } = this.options;
    const [service] = name.split('.', 1) as [string];
    const key = recipients.getKey(service);
    if (!key) throw new Unroutable(`cannot encrypt ${name}: no key of ${service} is known`);
    let plaintext: unknown;
    try {
      plaintext = encryption.decrypt(data, `outbox ${message_id}`);
    } catch (error) {
      throw new Undecryptable((error as Error).message);
    }
    return encryptFor(key, plaintext, name);
  }

  /** Deletes one batch, because messages wait meanwhile. Returns whether more may remain. */
  async #clean(client: pg.Client): Promise<boolean> {
    const outbox = await client.query(
      `DELETE FROM outbox WHERE id IN
         (SELECT id FROM outbox WHERE published_at < now() - interval '${retention.outbox}'
            OR first_published_at < now() - interval '${retention.outbox}' LIMIT ${cleanBatchSize})`,
    );
    const inbox = await client.query(
      `DELETE FROM inbox WHERE (key, sender) IN
         (SELECT key, sender FROM inbox WHERE received_at < now() - interval '${retention.inbox}' LIMIT ${cleanBatchSize})`,
    );
    return outbox.rowCount === cleanBatchSize || inbox.rowCount === cleanBatchSize;
  }
}
