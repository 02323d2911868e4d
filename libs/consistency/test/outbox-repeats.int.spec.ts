import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutboxRelay, QueueRecovery, StorageEncryption } from '@jogakbo/consistency';
import { findPublishedEvents } from '@jogakbo/consistency/find-published-events';
import { republishMessages } from '@jogakbo/consistency/republish';
import type { Announcement } from '@jogakbo/contract';
import { DecryptionKeys, exchanges, ServiceKey } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import { eventually } from '@jogakbo/testing';
import { Counting, leaderLock, name } from './counting.ts';

Logger.overrideLogger(false);

let counting: Counting;
beforeEach(async () => {
  counting = new Counting();
  await counting.open();
});
afterEach(() => counting.close());

const insertPublished = (count: number, daysAgo: number) =>
  counting.pool.query(
    `INSERT INTO outbox (message_id, kind, name, subject, data, headers, published_at)
     SELECT gen_random_uuid(), 'event', '${name}', 's' || n, '{}', '{}', now() - ${daysAgo} * interval '1 day'
     FROM generate_series(1, ${count}) AS n RETURNING id::text`,
  ) as Promise<{ rows: { id: string }[] }>;

const readUnpublished = async (): Promise<unknown[]> =>
  (await counting.pool.query('SELECT FROM outbox WHERE published_at IS NULL')).rows;

describe('repeated messages', () => {
  it('are kept until 7 days after their first publication, however often they are repeated', async () => {
    const [{ id }] = (await insertPublished(1, 6)).rows as [{ id: string }];
    const relay = new OutboxRelay({ ...counting.relayOptions, pollEvery: 50 });
    relay.start();
    for (const times of [1, 2]) {
      await republishMessages(counting.source, [id]);
      relay.wake();
      await eventually(() => counting.seen.length + counting.repeated === times);
      // The relay marks it after the broker's confirm: a repetition before that is the same one.
      await eventually(async () => (await readUnpublished()).length === 0);
    }
    await relay.stop();
    // Two days later.
    await counting.pool.query(
      `UPDATE outbox SET published_at = published_at - interval '2 days', first_published_at = first_published_at - interval '2 days'`,
    );
    const later = new OutboxRelay({ ...counting.relayOptions, pollEvery: 50 });
    later.start();
    await eventually(async () => (await counting.pool.query('SELECT 1 FROM outbox')).rowCount === 0);
    await later.stop();
  });

  it('are found by the time of their first publication, also while they are repeated', async () => {
    const [{ id }] = (await insertPublished(1, 6)).rows as [{ id: string }];
    const ago = (days: number) => new Date(Date.now() - days * 86_400_000);
    const find = () => findPublishedEvents(counting.pool, ago(6.1), ago(5.9));
    await expect(find()).resolves.toEqual([{ id, name }]);
    await republishMessages(counting.source, [id]);
    await expect(find()).resolves.toEqual([{ id, name }]);
    await counting.pool.query('UPDATE outbox SET published_at = now()');
    await expect(find()).resolves.toEqual([{ id, name }]);
  });

  it('of a recreated queue are each sent again once, while the relay publishes them', async () => {
    await insertPublished(1_200, 1);
    const relay = await startRelay();
    const recovery = new QueueRecovery(counting.source, relay);
    recovery.receiveAnnouncement(announce('a queue'));
    await eventually(() => countSent() >= 1_200, 10_000);
    await eventually(async () => (await readRecovered()) === 1, 10_000);
    await sleep(300);
    expect(countSent()).toBe(1_200);
    await recovery.stop();
    await relay.stop();
  });

  it('of a recreated queue are sent again by the instance that relays', async () => {
    await insertPublished(1, 1);
    const relay = await startRelay();
    const follower = new OutboxRelay({ ...counting.relayOptions, pollEvery: 50 });
    follower.start();
    const waiting = new QueueRecovery(counting.source, follower);
    waiting.receiveAnnouncement(announce('a queue'));
    await sleep(1_500);
    expect([countSent(), await readRecovered()]).toEqual([0, 0]);
    const recovery = new QueueRecovery(counting.source, relay);
    recovery.receiveAnnouncement(announce('a queue'));
    await eventually(() => countSent() === 1);
    // It takes over what the leader has not recovered.
    waiting.receiveAnnouncement(announce('another queue'));
    await Promise.all([recovery.stop(), relay.stop()]);
    await eventually(async () => (await readRecovered()) === 2);
    await eventually(() => countSent() === 2);
    await waiting.stop();
    await follower.stop();
  });

  it('are limited if one service reports ever new queues', async () => {
    await insertPublished(1, 1);
    const relay = await startRelay();
    const recovery = new QueueRecovery(counting.source, relay);
    for (let at = 0; at < 30; at++) {
      recovery.receiveAnnouncement(announce(...Array.from({ length: 10 }, (_, n) => `queue ${at} ${n}`)));
      await sleep(50);
    }
    await eventually(async () => (await readRecovered()) === 60);
    await sleep(300);
    expect(await readRecovered()).toBe(60);
    expect(countSent()).toBeLessThanOrEqual(60);
    // Others are not affected.
    recovery.receiveAnnouncement({ ...announce('another queue'), service: 'another' });
    await eventually(async () => (await readRecovered()) === 61);
    await recovery.stop();
    await relay.stop();
  });

  const readRecovered = async () => (await counting.pool.query('SELECT 1 FROM recovered_queue')).rowCount;
  const countSent = () => counting.seen.length + counting.repeated;
  async function startRelay(): Promise<OutboxRelay> {
    const relay = new OutboxRelay({ ...counting.relayOptions, pollEvery: 50 });
    relay.start();
    await eventually(async () => (await counting.pool.query(`SELECT 1 ${leaderLock}`)).rowCount === 1);
    return relay;
  }
  const announce = (...ids: string[]) =>
    ({
      service: 'hostile',
      madeQueues: ids.map((id) => ({ id, takes: [name], ago: 0 })),
    }) as unknown as Announcement;
});

describe('a row that was encrypted with a lost key', () => {
  it('holds back only the messages about its own subject, and is reported repeatedly', async () => {
    const encryption = new StorageEncryption(ServiceKey.random());
    const recipients = {
      getKey: () => new DecryptionKeys(ServiceKey.random()).publicKeys[0],
      isSensitive: () => true,
    };
    const insert = (id: string, kind: string, what: string, subject: string, data: unknown) =>
      counting.pool.query(
        'INSERT INTO outbox (message_id, kind, name, subject, data, headers) VALUES ($1, $2, $3, $4, $5, $6)',
        [id, kind, what, subject, JSON.stringify(data), '{}'],
      );
    const lost = new StorageEncryption(ServiceKey.random());
    for (let at = 0; at < 210; at++)
      await insert(crypto.randomUUID(), 'command', 'printer.print', `lost ${at}`, lost.encrypt({}, 'x'));
    await insert(crypto.randomUUID(), 'event', name, 'lost 7', { subject: 'lost 7', turn: 1 });
    const good = crypto.randomUUID();
    await insert(good, 'command', 'printer.print', 'good', encryption.encrypt({ page: 1 }, `outbox ${good}`));
    await insert(crypto.randomUUID(), 'event', name, 'good', { subject: 'good', turn: 1 });
    const channel = await counting.connection.model!.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.assertExchange(exchanges.requests('printer'), 'topic');
    await channel.bindQueue(queue, exchanges.requests('printer'), '#');
    const printed: unknown[] = [];
    await channel.consume(queue, (message) => void printed.push(message!.properties.messageId), {
      noAck: true,
    });
    const report = jest.spyOn(Logger.prototype, 'error');
    const countReports = (count: number) =>
      report.mock.calls.filter(([text]) => String(text).startsWith(`${count} messages cannot be decrypted`))
        .length;
    const relay = new OutboxRelay({
      ...{ ...counting.relayOptions, encryption, recipients },
      ...{ pollEvery: 50, reportEvery: 500 },
    });
    relay.start();
    await eventually(() => printed.length === 1 && counting.seen.length === 1);
    await sleep(1_500); // long enough for another attempt
    expect(printed).toEqual([good]);
    expect(counting.seen).toEqual([{ subject: 'good', turn: 1 }]);
    // They are reported again and again, but not those that were removed.
    await eventually(() => countReports(210) >= 2);
    await counting.pool.query(`DELETE FROM outbox WHERE subject = 'lost 0'`);
    await eventually(() => countReports(209) >= 2);
    await relay.stop();
    report.mockRestore();
  });
});
