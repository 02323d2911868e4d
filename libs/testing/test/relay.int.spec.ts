import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { Consistency1700000000000, OutboxRelay, UnitsOfWork } from '@jogakbo/consistency';
import { service } from '@jogakbo/contract';
import { BrokerConnection, encodeEvent, exchanges, Publisher } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { z } from 'zod';
import { eventually, privateBroker, privateDatabase, type Private } from '../src/index.ts';

// A relay that was cut off says so; here that is meant.
Logger.overrideLogger(false);

const writers = 16;
const subjects = 64;
const perTransaction = 5;
const CountedUp = service('shop').event('counted', z.object({ subject: z.string(), turn: z.int() }), {
  subject: 'subject',
});
const { name } = CountedUp;

interface Counted {
  subject: string;
  turn: number;
}

interface Row {
  id: string;
  message_id: string;
  subject: string;
  data: Counted;
}

/** Of this database: other suites have leaders too. */
const leading = `FROM pg_locks JOIN pg_database ON pg_database.oid = database
  WHERE datname = current_database() AND locktype = 'advisory' AND granted`;

/** Something that brings rows of the outbox to the broker. */
interface Relay {
  start(): void;
  stop(): Promise<void>;
}

describe('a relay', () => {
  let broker: Private;
  let database: Private;
  let connection: BrokerConnection;
  let publisher: Publisher;
  let pool: pg.Pool;
  let source: DataSource;
  let seen: Counted[];
  /** How many came that were known. */
  let repeated: number;

  beforeEach(async () => {
    [broker, database] = await Promise.all([privateBroker(), privateDatabase()]);
    source = new DataSource({
      ...{ type: 'postgres', url: database.url, migrations: [Consistency1700000000000] },
      migrationsTransactionMode: 'each',
      extra: { pipeline: true },
    });
    await source.initialize();
    await source.runMigrations();
    pool = new pg.Pool({ connectionString: database.url, max: writers + 6 });
    pool.on('error', () => {});
    await pool.query('CREATE TABLE turn (subject text PRIMARY KEY, last int NOT NULL DEFAULT 0)');
    await pool.query(`INSERT INTO turn (subject) SELECT 's' || n FROM generate_series(1, ${subjects}) n`);

    connection = await new BrokerConnection().open(broker.url, 'relay test');
    publisher = new Publisher(connection);
    await publisher.open();
    const channel = await connection.model!.createChannel();
    await channel.assertExchange(exchanges.events, 'topic');
    await channel.assertExchange(exchanges.commands, 'direct');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchanges.events, '#');
    // Whoever keeps an inbox sees a message once, when it comes for the first time.
    const inbox = new Set<string>();
    seen = [];
    repeated = 0;
    await channel.consume(
      queue,
      (message) => {
        const id = message!.properties.messageId as string;
        if (inbox.has(id)) return void repeated++;
        inbox.add(id);
        seen.push((JSON.parse(message!.content.toString()) as { data: Counted }).data);
      },
      { noAck: true },
    );
  });
  afterEach(async () => {
    await connection.close();
    await Promise.all([pool.end(), source.destroy()]);
    await Promise.all([broker.drop(), database.drop()]);
  });

  /** Every transaction takes its ids early and is committed late; the turns of a subject follow its commits. */
  async function write(events: number, pause = 0): Promise<void> {
    let left = events / perTransaction;
    await Promise.all(
      Array.from({ length: writers }, async () => {
        const client = await pool.connect();
        while (left-- > 0) {
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

  /** The same in units of work, which hand what they leave to the relay of their own instance. */
  async function writeInUnits(events: number, { wake }: OutboxRelay): Promise<void> {
    const units = new UnitsOfWork({ service: 'shop', dataSource: source, dispatch: async () => {}, wake });
    let left = events / perTransaction;
    const writeTurns = (subject: string) =>
      units.run(async ({ tx, publish }) => {
        const [[{ last }]] = (await tx.query(
          `UPDATE turn SET last = last + ${perTransaction} WHERE subject = $1 RETURNING last`,
          [subject],
        )) as [[{ last: number }]];
        for (let turn = last - perTransaction + 1; turn <= last; turn++)
          publish(CountedUp({ subject, turn }));
      }, subject);
    while (left-- > 0) {
      await writeTurns(`s${1 + Math.floor(Math.random() * subjects)}`);
      await sleep(Math.random() * 10); // so that now and then nothing else is open
    }
  }

  /** What an inbox would see out of turn, and what it would never see. */
  function judge(events: number): { skipped: number; inverted: number } {
    const last = new Map<string, number>();
    let inverted = 0;
    for (const { subject, turn } of seen) {
      if (turn < (last.get(subject) ?? 0)) inverted++;
      last.set(subject, Math.max(turn, last.get(subject) ?? 0));
    }
    return { skipped: events - seen.length, inverted };
  }

  /** @param quiet milliseconds without a message after which nothing more is expected */
  async function run(relays: Relay[], events: number, quiet: number, meanwhile?: () => Promise<void>) {
    relays.forEach((relay) => relay.start());
    await Promise.all([write(events), meanwhile?.()]);
    let before = -1;
    // Through, or nothing has come for a while.
    while (seen.length < events && seen.length !== before) {
      before = seen.length;
      await sleep(quiet);
    }
    await Promise.all(relays.map((relay) => relay.stop()));
    return judge(events);
  }

  const publish = ({ message_id: id, subject, data }: Row) =>
    publisher.publish({
      ...{ exchange: exchanges.events, routingKey: name },
      ...encodeEvent({ id, name, source: 'shop', subject, time: new Date(), data }, {}),
    });

  /** Runs `turn` again and again; it says whether it found something. */
  function looping(turn: () => Promise<boolean>): Relay {
    let going = true;
    let done: Promise<void> | undefined;
    const loop = async () => {
      while (going) if (!(await turn())) await sleep(5);
    };
    return {
      start: () => void (done = loop()),
      stop: async () => {
        going = false;
        await done;
      },
    };
  }

  it('OutboxRelay leaves the commands that nobody takes where they are, and keeps them in order', async () => {
    const put = (from: number, to: number, kind: string, what: string, subject: string) =>
      pool.query(
        `INSERT INTO outbox (message_id, kind, name, subject, data, headers)
         SELECT gen_random_uuid(), '${kind}', '${what}', ${subject}, json_build_object('subject', ${subject}, 'turn', n), '{}'
         FROM generate_series(${from}, ${to}) AS n`,
      );
    await put(1, 1, 'event', name, `'order 7'`);
    await put(1, 250, 'command', 'nobody.print', `'order ' || n`);
    await put(2, 2, 'event', name, `'order 7'`);
    await put(1, 3, 'event', name, `'free'`);
    const relay = new OutboxRelay({ service: 'shop', databaseUrl: database.url, publisher, pollEvery: 50 });
    relay.start();
    await eventually(() => seen.length === 4);
    await sleep(1_500); // long enough for another attempt
    expect(seen).toEqual([
      { subject: 'order 7', turn: 1 },
      ...[1, 2, 3].map((turn) => ({ subject: 'free', turn })),
    ]);
    const channel = await connection.model!.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchanges.commands, 'nobody.print');
    await eventually(
      async () => (await pool.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).rowCount === 0,
    );
    expect((await channel.checkQueue(queue)).messageCount).toBe(250);
    await eventually(() => seen.length === 5);
    expect(seen.at(-1)).toEqual({ subject: 'order 7', turn: 2 });
    await relay.stop();
  });

  it('OutboxRelay forgets as fast as it is told what is old', async () => {
    await pool.query(
      `INSERT INTO inbox (key, received_at) SELECT n, now() - interval '15 days' FROM generate_series(1, 12000) AS n`,
    );
    await pool.query(`INSERT INTO inbox (key, received_at) VALUES ('young', now() - interval '13 days')`);
    const relay = new OutboxRelay({ service: 'shop', databaseUrl: database.url, publisher, pollEvery: 50 });
    relay.start();
    await eventually(async () => (await pool.query('SELECT 1 FROM inbox')).rowCount === 1);
    await relay.stop();
  });

  it('OutboxRelay leads as long as it lives, however long one step takes, and no longer', async () => {
    const connecting = jest.spyOn(pg.Client.prototype, 'connect');
    let stuck = true;
    const patient = {
      publish: async () => {
        while (stuck) await sleep(50);
      },
    } as unknown as Publisher;
    const relay = new OutboxRelay({ service: 'shop', databaseUrl: database.url, publisher: patient });
    relay.start();
    const leader = async () => (await pool.query(`SELECT pid ${leading}`)).rows[0]?.pid;
    const first = await eventually(leader);
    const session = connecting.mock.contexts[0] as pg.Client;
    connecting.mockRestore();
    const limits = await session.query(
      `SELECT name, setting FROM pg_settings WHERE name ~ '^(idle_session_timeout|tcp_keepalives_.*)$' ORDER BY name`,
    );
    expect(limits.rows).toEqual([
      { name: 'idle_session_timeout', setting: '15000' },
      { name: 'tcp_keepalives_count', setting: '2' },
      { name: 'tcp_keepalives_idle', setting: '5' },
      { name: 'tcp_keepalives_interval', setting: '5' },
    ]);
    try {
      // Less patience, so that this does not take half a minute.
      await session.query(`SET idle_session_timeout = '5s'`);
      await pool.query(
        `INSERT INTO outbox (message_id, kind, name, data, headers) VALUES (gen_random_uuid(), 'event', $1, '{}', '{}')`,
        [name],
      );
      await sleep(6_000);
      expect(await leader()).toBe(first);
      await session.query(`SET idle_session_timeout = '1s'`);
      // As a process does that was stopped.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
      await eventually(async () => ![undefined, first].includes(await leader()));
    } finally {
      stuck = false;
      await relay.stop();
    }
  });

  it('OutboxRelay need not look for what it is handed, and keeps it in order with what others write', async () => {
    const relay = new OutboxRelay({ service: 'shop', databaseUrl: database.url, publisher, pollEvery: 20 });
    relay.start();
    await eventually(async () => (await pool.query(`SELECT 1 ${leading}`)).rowCount === 1);
    await Promise.all([writeInUnits(2_000, relay), write(1_500, 300)]);
    await eventually(() => seen.length === 3_500, 20_000);
    await relay.stop();
    expect(judge(3_500)).toEqual({ skipped: 0, inverted: 0 });
    expect(repeated).toBeLessThan(100);

    const unhurried = new OutboxRelay({
      service: 'shop',
      databaseUrl: database.url,
      publisher,
      pollEvery: 60_000,
    });
    const looks = jest.spyOn(pg.Client.prototype, 'query');
    unhurried.start();
    await eventually(async () => (await pool.query(`SELECT 1 ${leading}`)).rowCount === 1);
    await sleep(200);
    looks.mockClear();
    await writeInUnits(perTransaction, unhurried);
    await eventually(() => seen.length === 3_500 + perTransaction);
    const asked = looks.mock.calls.map(([query]) => (query as unknown as { name?: string }).name);
    looks.mockRestore();
    await unhurried.stop();
    expect(asked).toContain('outbox-published');
    expect(asked).not.toContain('outbox-open');
  }, 60_000);

  it('OutboxRelay skips 0 and inverts 0 of 20,000, also when the one that leads is cut off', async () => {
    const relay = () =>
      new OutboxRelay({ service: 'shop', databaseUrl: database.url, publisher, pollEvery: 50 });
    const cutOffLeader = async () => {
      for (const part of [3_000, 8_000]) {
        await eventually(() => seen.length > part, 30_000);
        await pool.query(`SELECT pg_terminate_backend(pid) ${leading}`);
      }
    };
    expect(await run([relay(), relay()], 20_000, 2_500, cutOffLeader)).toEqual({ skipped: 0, inverted: 0 });
    // One relays, the other waits: only what was on its way at a cut comes twice.
    expect(repeated).toBeLessThan(2_000);
    await eventually(
      async () => (await pool.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).rowCount === 0,
    );
  }, 90_000);

  it('a relay that goes by the last id skips', async () => {
    let last = '0';
    const naive = looping(async () => {
      const { rows } = await pool.query<Row>('SELECT * FROM outbox WHERE id > $1 ORDER BY id LIMIT 200', [
        last,
      ]);
      await Promise.all(rows.map(publish));
      last = rows.at(-1)?.id ?? last;
      return rows.length > 0;
    });
    expect((await run([naive], 1_500, 700)).skipped).toBeGreaterThan(0);
  }, 60_000);

  it('two relays that lock rows and skip what is locked invert', async () => {
    const skipLocked = () =>
      looping(async () => {
        const client = await pool.connect();
        await client.query('BEGIN');
        const { rows } = await client.query<Row>(
          `SELECT * FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 50 FOR UPDATE SKIP LOCKED`,
        );
        for (const row of rows) await publish(row);
        const ids = rows.map(({ id }) => id);
        await client.query('UPDATE outbox SET published_at = now() WHERE id = ANY($1::bigint[])', [ids]);
        await client.query('COMMIT');
        client.release();
        return rows.length > 0;
      });
    const { skipped, inverted } = await run([skipLocked(), skipLocked()], 1_500, 700);
    expect(skipped).toBe(0);
    expect(inverted).toBeGreaterThan(0);
  }, 60_000);
});
