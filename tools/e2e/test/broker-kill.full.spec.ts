import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import {
  BrokerConnection,
  contextHeaders,
  encodeRequest,
  exchanges,
  Publisher,
  RabbitServer,
} from '@jogakbo/messaging';
import { assertRetries, queues, retryKey } from '@jogakbo/messaging/topology';
import { z } from 'zod';
import { type BackingService } from '@jogakbo/cli/src/backing/backing-service.ts';
import { claimPorts } from '@jogakbo/cli/src/supervisor/ports.ts';
import { findInstalledBroker, startPrivateBroker } from '@jogakbo/cli/src/backing/rabbitmq/private-broker.ts';
import { generatePassword } from '@jogakbo/cli/src/supervisor/state.ts';
import { until } from '../src/jogakbo.ts';

/** Target: KILLS=10, 50,000 messages in three minutes. The default is a smaller run. */
const kills = Number(process.env.KILLS ?? 4);
const perKill = 5_000;
/** Includes messages to send after the last kill. */
const messages = (kills + 1) * perKill;
const server = findInstalledBroker();
const Count = service('shop').command('count', { input: z.strictObject({ turn: z.int() }) });
const Heard = service('yard').event('heard', z.object({ turn: z.int() }));

// A broker in a container has no process to kill.
(server ? describe : describe.skip)('kill -9 of the broker', () => {
  const folder = mkdtempSync(join(tmpdir(), 'jogakbo-kill-'));
  let broker: BackingService;
  let sending: BrokerConnection;
  let consuming: BrokerConnection;
  let publisher: Publisher;
  let consumer: RabbitServer;
  const received = new Set<number>();

  beforeAll(async () => {
    broker = await startPrivateBroker(server!, {
      ...{ folder: join(folder, 'rabbitmq'), logs: join(folder, 'logs'), throwaway: true },
      ...{ name: `jogakbo-kill-${randomBytes(4).toString('hex')}`, password: generatePassword() },
      ports: await claimPorts(['amqp', 'management', 'distribution', 'epmd']),
    });
    sending = await new BrokerConnection().open(broker.url, 'sends');
    consuming = await new BrokerConnection().open(broker.url, 'consumes');
    publisher = new Publisher(sending);
    await publisher.open();
    const settling = new Publisher(consuming);
    await settling.open();
    consumer = new RabbitServer({ service: 'shop', connection: consuming, publisher: settling });
    Object.assign((consumer as unknown as { logger: object }).logger, { error: () => {}, warn: () => {} });
    consumer.addContractHandler(Count, async (data) => void received.add((data as { turn: number }).turn));
    consumer.addContractHandler(Heard, async () => undefined);
    await new Promise<void>((resolve, reject) => {
      void consumer.listen((error) => (error ? reject(error as Error) : resolve()));
    });
    // A kill during the declaration can break a quorum queue.
    await pause(4_000);
  }, 120_000);
  afterAll(async () => {
    await consumer?.close();
    await Promise.all([sending?.close(), consuming?.close()]);
    await broker?.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  const publish = (turn: number, messageId: string) =>
    publisher.publish({
      ...{ exchange: exchanges.requests(Count.name), routingKey: Count.name },
      ...encodeRequest(
        { pattern: Count.name, data: { turn } },
        { messageId, persistent: true, mandatory: true, headers: contextHeaders(undefined) },
      ),
    });

  it('a hung broker: publishing fails within 6 s, readiness within 12 s, and both recover when it resumes', async () => {
    const beam = broker.roots()[0]!.pid;
    process.kill(beam, 'SIGSTOP');
    try {
      const startedAt = performance.now();
      await expect(publish(-1, randomUUID())).rejects.toThrow('not confirmed');
      expect(performance.now() - startedAt).toBeLessThan(6_000);
      await until(() => !publisher.ready && !consumer.ready, 12_000);
    } finally {
      process.kill(beam, 'SIGCONT');
    }
    await until(() => publisher.ready && consumer.ready, 15_000);
    await until(() =>
      publish(-1, randomUUID()).then(
        () => true,
        () => false,
      ),
    );
  }, 60_000);

  /** RabbitMQ elects the leaders of its queues in any order, before it restores the exchange for some of them. */
  it('delivers messages whose retry was due during the outage soon after the restart', async () => {
    const retryDelays = Array.from({ length: 60 }, (_, index) => 1_000 + index);
    const channel = await sending.model!.createChannel();
    await assertRetries(channel, 'shop', { retryDelays, isPredeclared: false });
    await channel.close();
    await pause(4_000);
    await Promise.all(
      retryDelays.map((delay) =>
        publisher.publish({
          ...{ exchange: exchanges.retry('shop'), routingKey: retryKey(delay, queues.commands('shop')) },
          ...encodeRequest(
            { pattern: Count.name, data: { turn: -delay } },
            {
              messageId: randomUUID(),
              persistent: true,
              mandatory: true,
              headers: contextHeaders(undefined),
            },
          ),
        }),
      ),
    );
    process.kill(broker.roots()[0]!.pid, 'SIGKILL');
    expect(retryDelays.some((delay) => received.has(-delay))).toBe(false);
    await broker.start();
    await until(() => retryDelays.every((delay) => received.has(-delay)), 25_000);
    received.clear();
  }, 90_000);

  it(`${kills} times loses 0 of ${messages} confirmed messages, and recovery takes seconds`, async () => {
    const confirmed = new Set<number>();
    let next = 0;
    let attempts = 0;
    const send = async () => {
      while (next < messages) {
        const turn = next++;
        // Like the outbox, repeats the same message until it is confirmed.
        for (const id = randomUUID(); ; await pause(50)) {
          attempts++;
          const done = await publish(turn, id).then(
            () => true,
            () => false,
          );
          if (done) break;
        }
        confirmed.add(turn);
        // Keeps messages in flight during every kill.
        await until(() => confirmed.size < limit, 120_000);
      }
    };
    let limit = perKill;
    const sent = Promise.all(Array.from({ length: 100 }, send));

    const firstConfirm: number[] = [];
    const consumersBack: number[] = [];
    for (let kill = 0; kill < kills; kill++) {
      await until(() => confirmed.size >= limit - 0.9 * perKill, 60_000);
      process.kill(broker.roots()[0]!.pid, 'SIGKILL');
      await until(() => !sending.model && !consumer.ready);
      await broker.start();
      const returnedAt = performance.now();
      const confirmedBefore = confirmed.size;
      limit += perKill;
      await Promise.all([
        until(() => confirmed.size > confirmedBefore).then(() =>
          firstConfirm.push(performance.now() - returnedAt),
        ),
        until(() => consumer.ready).then(() => consumersBack.push(performance.now() - returnedAt)),
      ]);
    }
    limit = Infinity;
    await sent;
    received.delete(-1); // from the first test
    await until(() => received.size === messages, 60_000);
    expect([...confirmed].filter((turn) => !received.has(turn))).toEqual([]);
    expect(confirmed.size).toBe(messages);
    // The kills hit messages in flight: some were not confirmed and sent again.
    expect(attempts).toBeGreaterThan(messages);
    expect(Math.max(...firstConfirm)).toBeLessThan(10_000);
    expect(Math.max(...consumersBack)).toBeLessThan(15_000);
  }, 400_000);
});
