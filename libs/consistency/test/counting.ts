import { BrokerConnection, exchanges, Publisher, ServiceKey } from '@jogakbo/messaging';
import {
  consistencyMigrations,
  StorageEncryption,
  UnitsOfWork,
  type OutboxRelay,
  type RelayOptions,
} from '@jogakbo/consistency';
import { service } from '@jogakbo/contract';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { createPrivateBroker, createPrivateDatabase, type Private } from '@jogakbo/testing';

const writers = 16;
const subjects = 64;
const perTransaction = 5;
const CountedUp = service('shop').event('counted', z.object({ subject: z.string(), turn: z.int() }), {
  subject: 'subject',
});
export const { name } = CountedUp;

export interface Counted {
  subject: string;
  turn: number;
}

/** The leader lock of this database only: other suites have leaders too. */
export const leaderLock = `FROM pg_locks JOIN pg_database ON pg_database.oid = database
  WHERE datname = current_database() AND locktype = 'advisory' AND granted`;

/** An outbox with concurrent writers, and a consumer that checks the order of the relayed events. */
export class Counting {
  broker: Private;
  database: Private;
  connection: BrokerConnection;
  publisher: Publisher;
  pool: pg.Pool;
  source: DataSource;
  seen: Counted[] = [];
  /** Number of duplicates. */
  repeated = 0;
  readonly #encryption = new StorageEncryption(ServiceKey.random());

  /** Options of every relay of this outbox. */
  get relayOptions(): RelayOptions {
    return {
      ...{ service: 'shop', databaseUrl: this.database.url, publisher: this.publisher },
      encryption: this.#encryption,
      recipients: { getKey: () => undefined, isSensitive: () => false },
    };
  }

  async open(): Promise<void> {
    [this.broker, this.database] = await Promise.all([createPrivateBroker(), createPrivateDatabase()]);
    this.source = new DataSource({
      ...{
        type: 'postgres',
        url: this.database.url,
        migrations: [...consistencyMigrations],
      },
      migrationsTransactionMode: 'each',
      extra: { pipeline: true },
    });
    await this.source.initialize();
    await this.source.runMigrations();
    this.pool = new pg.Pool({ connectionString: this.database.url, max: writers + 6 });
    this.pool.on('error', () => {});
    await this.pool.query('CREATE TABLE turn (subject text PRIMARY KEY, last int NOT NULL DEFAULT 0)');
    await this.pool.query(
      `INSERT INTO turn (subject) SELECT 's' || n FROM generate_series(1, ${subjects}) n`,
    );

    this.connection = await new BrokerConnection().open(this.broker.url, 'relay test');
    this.publisher = new Publisher(this.connection);
    await this.publisher.open();
    const channel = await this.connection.model!.createChannel();
    const events = exchanges.events(name);
    await channel.assertExchange(events, 'topic');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, events, '#');
    // As with an inbox, only the first delivery of a message counts.
    const inbox = new Set<string>();
    await channel.consume(
      queue,
      (message) => {
        const id = message!.properties.messageId as string;
        if (inbox.has(id)) return void this.repeated++;
        inbox.add(id);
        this.seen.push((JSON.parse(message!.content.toString()) as { data: Counted }).data);
      },
      { noAck: true },
    );
  }

  async close(): Promise<void> {
    await this.connection.close();
    await Promise.all([this.pool.end(), this.source.destroy()]);
    await Promise.all([this.broker.drop(), this.database.drop()]);
  }

  /** Every transaction takes its ids early and is committed late. The turns of a subject are in commit order. */
  async write(events: number, pause = 0): Promise<void> {
    let remaining = events / perTransaction;
    await Promise.all(
      Array.from({ length: writers }, async () => {
        const client = await this.pool.connect();
        while (remaining-- > 0) {
          const subject = `s${1 + Math.floor(Math.random() * subjects)}`;
          await client.query('BEGIN');
          await client.query(
            `WITH mine AS (UPDATE turn SET last = last + ${perTransaction} WHERE subject = $1 RETURNING last)
             INSERT INTO outbox (message_id, kind, name, subject, data, headers)
             SELECT gen_random_uuid(), 'event', '${name}', $1,
                    json_build_object('subject', $1, 'turn', last - ${perTransaction} + n), '{}'
             FROM mine, generate_series(1, ${perTransaction}) n ORDER BY n`,
            [subject],
          );
          if (Math.random() < 0.5) await sleep(Math.random() * 6);
          await client.query('COMMIT');
          await sleep(Math.random() * pause);
        }
        client.release();
      }),
    );
  }

  /** The same in units of work, which pass their messages to the relay of their own instance. */
  async writeInUnits(events: number, { wake }: OutboxRelay): Promise<void> {
    const units = new UnitsOfWork({
      service: 'shop',
      dataSource: this.source,
      encryption: this.#encryption,
      dispatch: async () => {},
      wake,
    });
    let remaining = events / perTransaction;
    const writeTurns = (subject: string) =>
      units.run(async ({ tx, publish }) => {
        const [[{ last }]] = (await tx.query(
          `UPDATE turn SET last = last + ${perTransaction} WHERE subject = $1 RETURNING last`,
          [subject],
        )) as [[{ last: number }]];
        for (let turn = last - perTransaction + 1; turn <= last; turn++)
          publish(CountedUp({ subject, turn }));
      }, subject);
    while (remaining-- > 0) {
      await writeTurns(`s${1 + Math.floor(Math.random() * subjects)}`);
      await sleep(Math.random() * 10); // so that sometimes no other transaction is open
    }
  }

  /** Counts events that an inbox would never receive, and those that it would receive out of order. */
  checkOrder(events: number): { skipped: number; inverted: number } {
    const last = new Map<string, number>();
    let inverted = 0;
    for (const { subject, turn } of this.seen) {
      if (turn < (last.get(subject) ?? 0)) inverted++;
      last.set(subject, Math.max(turn, last.get(subject) ?? 0));
    }
    return { skipped: events - this.seen.length, inverted };
  }
}
