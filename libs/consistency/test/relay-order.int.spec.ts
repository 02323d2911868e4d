import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboxRelay } from '@jogakbo/consistency';
import { encodeEvent, exchanges } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import { eventually } from '@jogakbo/testing';
import { inFullRuns } from '@jogakbo/testing/full-runs';
import { Counting, leaderLock, name, type Counted } from './counting.ts';

// Errors of disconnected relays are expected here: no logs.
Logger.overrideLogger(false);

interface Row {
  id: string;
  message_id: string;
  subject: string;
  data: Counted;
}

/** Publishes rows of the outbox. */
interface Relay {
  start(): void;
  stop(): Promise<void>;
}

/** `npm run test:full` publishes more. */
const many = process.env['TEST_FULL'] ? 20_000 : 6_000;

describe('the order in which a relay publishes', () => {
  let counting: Counting;
  beforeEach(async () => {
    counting = new Counting();
    await counting.open();
  });
  afterEach(() => counting.close());

  /** @param quiet milliseconds without a message after which no more are expected */
  async function run(relays: Relay[], events: number, quiet: number, meanwhile?: () => Promise<void>) {
    relays.forEach((relay) => relay.start());
    await Promise.all([counting.write(events), meanwhile?.()]);
    let before = -1;
    // Until all have arrived, or none has arrived for a while.
    while (counting.seen.length < events && counting.seen.length !== before) {
      before = counting.seen.length;
      await sleep(quiet);
    }
    await Promise.all(relays.map((relay) => relay.stop()));
    return counting.checkOrder(events);
  }

  const publish = ({ message_id: id, subject, data }: Row) =>
    counting.publisher.publish({
      ...{ exchange: exchanges.events(name), routingKey: name },
      ...encodeEvent({ id, name, source: 'shop', subject, time: new Date(), data }, {}),
    });

  /** Repeats `step`, which returns whether it found rows. */
  function createLoop(step: () => Promise<boolean>): Relay {
    let going = true;
    let done: Promise<void> | undefined;
    const loop = async () => {
      while (going) if (!(await step())) await sleep(5);
    };
    return {
      start: () => void (done = loop()),
      stop: async () => {
        going = false;
        await done;
      },
    };
  }

  it('OutboxRelay keeps the messages of its own instance in order with those of others', async () => {
    const relay = new OutboxRelay({
      ...counting.relayOptions,
      pollEvery: 20,
    });
    relay.start();
    await eventually(async () => (await counting.pool.query(`SELECT 1 ${leaderLock}`)).rowCount === 1);
    await Promise.all([counting.writeInUnits(2_000, relay), counting.write(1_500, 300)]);
    await eventually(() => counting.seen.length === 3_500, 20_000);
    await relay.stop();
    expect(counting.checkOrder(3_500)).toEqual({ skipped: 0, inverted: 0 });
    expect(counting.repeated).toBeLessThan(100);
  }, 60_000);

  it(`OutboxRelay skips 0 and inverts 0 of ${many}, even if the leader loses its connection`, async () => {
    const relay = () =>
      new OutboxRelay({
        ...counting.relayOptions,
        pollEvery: 50,
      });
    const cutOffLeader = async () => {
      for (const part of [many / 6, many / 2]) {
        await eventually(() => counting.seen.length > part, 30_000);
        await counting.pool.query(`SELECT pg_terminate_backend(pid) ${leaderLock}`);
      }
    };
    expect(await run([relay(), relay()], many, 2_500, cutOffLeader)).toEqual({ skipped: 0, inverted: 0 });
    // Only one of them relays: only messages in flight at a disconnection arrive twice.
    expect(counting.repeated).toBeLessThan(2_000);
    await eventually(
      async () =>
        (await counting.pool.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).rowCount === 0,
    );
  }, 90_000);

  inFullRuns(
    'a relay with the last id as its cursor skips messages',
    async () => {
      let last = '0';
      const naive = createLoop(async () => {
        const { rows } = await counting.pool.query<Row>(
          'SELECT * FROM outbox WHERE id > $1 ORDER BY id LIMIT 200',
          [last],
        );
        await Promise.all(rows.map(publish));
        last = rows.at(-1)?.id ?? last;
        return rows.length > 0;
      });
      expect((await run([naive], 1_500, 700)).skipped).toBeGreaterThan(0);
    },
    60_000,
  );

  inFullRuns(
    'two relays with SKIP LOCKED invert messages',
    async () => {
      const skipLocked = () =>
        createLoop(async () => {
          const client = await counting.pool.connect();
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
    },
    60_000,
  );
});
