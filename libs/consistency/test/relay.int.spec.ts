import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboxRelay } from '@jogakbo/consistency';
import { exchanges, type Publisher } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import pg from 'pg';
import { eventually } from '@jogakbo/testing';
import { Counting, leaderLock, name } from './counting.ts';

// Errors of disconnected relays are expected here: no logs.
Logger.overrideLogger(false);

describe('OutboxRelay', () => {
  let counting: Counting;
  beforeEach(async () => {
    counting = new Counting();
    await counting.open();
  });
  afterEach(() => counting.close());

  it('keeps unroutable commands in the outbox, in order', async () => {
    const insertMessages = (from: number, to: number, kind: string, what: string, subject: string) =>
      counting.pool.query(
        `INSERT INTO outbox (message_id, kind, name, subject, data, headers)
         SELECT gen_random_uuid(), '${kind}', '${what}', ${subject}, json_build_object('subject', ${subject}, 'turn', n), '{}'
         FROM generate_series(${from}, ${to}) AS n`,
      );
    await insertMessages(1, 1, 'event', name, `'loan 7'`);
    await insertMessages(1, 250, 'command', 'printer.print', `'loan ' || n`);
    await insertMessages(2, 2, 'event', name, `'loan 7'`);
    await insertMessages(1, 3, 'event', name, `'free'`);
    const relay = new OutboxRelay({
      ...counting.relayOptions,
      pollEvery: 50,
    });
    relay.start();
    await eventually(() => counting.seen.length === 4);
    await sleep(1_500); // long enough for another attempt
    expect(counting.seen).toEqual([
      { subject: 'loan 7', turn: 1 },
      ...[1, 2, 3].map((turn) => ({ subject: 'free', turn })),
    ]);
    const channel = await counting.connection.model!.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchanges.requests('printer'), 'printer.print');
    await eventually(
      async () =>
        (await counting.pool.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).rowCount === 0,
    );
    expect((await channel.checkQueue(queue)).messageCount).toBe(250);
    await eventually(() => counting.seen.length === 5);
    expect(counting.seen.at(-1)).toEqual({ subject: 'loan 7', turn: 2 });
    await relay.stop();
  });

  it('deletes expired inbox entries in time', async () => {
    await counting.pool.query(
      `INSERT INTO inbox (key, received_at) SELECT n, now() - interval '15 days' FROM generate_series(1, 12000) AS n`,
    );
    await counting.pool.query(
      `INSERT INTO inbox (key, received_at) VALUES ('young', now() - interval '13 days')`,
    );
    const relay = new OutboxRelay({
      ...counting.relayOptions,
      pollEvery: 50,
    });
    relay.start();
    await eventually(async () => (await counting.pool.query('SELECT 1 FROM inbox')).rowCount === 1);
    await relay.stop();
  });

  it('leads while its process runs, even during a slow step, and not after', async () => {
    const connecting = jest.spyOn(pg.Client.prototype, 'connect');
    let stuck = true;
    const stuckPublisher = {
      publish: async () => {
        while (stuck) await sleep(50);
      },
    } as unknown as Publisher;
    const relay = new OutboxRelay({ ...counting.relayOptions, publisher: stuckPublisher });
    relay.start();
    const leader = async () => (await counting.pool.query(`SELECT pid ${leaderLock}`)).rows[0]?.pid;
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
      // A shorter timeout, so that the test does not take half a minute.
      await session.query(`SET idle_session_timeout = '5s'`);
      await counting.pool.query(
        `INSERT INTO outbox (message_id, kind, name, data, headers) VALUES (gen_random_uuid(), 'event', $1, '{}', '{}')`,
        [name],
      );
      await sleep(6_000);
      expect(await leader()).toBe(first);
      await session.query(`SET idle_session_timeout = '1s'`);
      // Blocks like a suspended process.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
      await eventually(async () => ![undefined, first].includes(await leader()));
    } finally {
      stuck = false;
      await relay.stop();
    }
  });

  it('publishes messages of its own instance without polling', async () => {
    const looks = jest.spyOn(pg.Client.prototype, 'query');
    const relay = new OutboxRelay({
      ...{
        ...counting.relayOptions,
        pollEvery: 60_000,
      },
    });
    relay.start();
    await eventually(async () => (await counting.pool.query(`SELECT 1 ${leaderLock}`)).rowCount === 1);
    await sleep(200);
    looks.mockClear();
    await counting.writeInUnits(5, relay);
    await eventually(() => counting.seen.length === 5);
    const asked = looks.mock.calls.map(([query]) => (query as unknown as { name?: string }).name);
    looks.mockRestore();
    await relay.stop();
    expect(asked).toContain('outbox-published');
    expect(asked).not.toContain('outbox-open');
  });
});
