import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboxRelay, QueueRecovery } from '@jogakbo/consistency';
import type { Announcement } from '@jogakbo/contract';
import { exchanges, type Publication, type Publisher } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import { eventually } from '@jogakbo/testing';
import { Counting, name } from './counting.ts';

Logger.overrideLogger(false);

describe('a queue that is recreated while the relay publishes', () => {
  let counting: Counting;
  beforeEach(async () => {
    counting = new Counting();
    await counting.open();
  });
  afterEach(() => counting.close());

  it('gets a message that was published before it existed and is marked as published after that', async () => {
    /** Longer than the margin of the recovery; a queue without a leader takes 5 to 7 seconds. */
    const confirmDelayMs = 6_500;
    // The first message of the subject `slow` is confirmed late: the batch is marked as a whole, later still.
    let delayed = 0;
    const publisher = {
      publish: async (publication: Publication) => {
        await counting.publisher.publish(publication);
        if (publication.content.toString().includes('slow') && delayed++ === 0) await sleep(confirmDelayMs);
      },
    } as unknown as Publisher;
    await counting.pool.query(
      `INSERT INTO outbox (message_id, kind, name, subject, data, headers)
       SELECT gen_random_uuid(), 'event', $1, subject, json_build_object('subject', subject, 'turn', 1), '{}'
       FROM unnest(ARRAY['slow', 'fast']) AS subject`,
      [name],
    );
    const relay = new OutboxRelay({ ...counting.relayOptions, publisher, pollEvery: 50 });
    relay.start();
    await eventually(() => counting.seen.length === 2);

    const channel = await counting.connection.model!.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchanges.events(name), '#');
    const recovery = new QueueRecovery(counting.source, relay);
    recovery.receiveAnnouncement({
      service: 'receiver',
      madeQueues: [{ id: 'recreated', takes: [name], ago: 0 }],
    } as unknown as Announcement);

    await eventually(async () => (await channel.checkQueue(queue)).messageCount === 2, 15_000);
    await eventually(
      async () =>
        (await counting.pool.query('SELECT 1 FROM outbox WHERE published_at IS NULL')).rowCount === 0,
    );
    await eventually(async () => (await counting.pool.query('SELECT 1 FROM recovered_queue')).rowCount === 1);
    expect(counting.repeated).toBe(2);
    await recovery.stop();
    await relay.stop();
  }, 40_000);
});
