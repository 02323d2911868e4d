import { randomUUID } from 'node:crypto';
import { encodeRequest, exchanges, queues } from '@jogakbo/messaging';
import { describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { eventually } from '@jogakbo/testing';
import {
  type BakeryUnderTest,
  Bake,
  HowMany,
  bakeryName,
  createCommand,
  createDisguisedCommand,
  createEvent,
  intruderName,
  matchRejected,
  millName,
} from './bakery.ts';

export const testRefusedMessages = (bakery: BakeryUnderTest) =>
  describe('unauthorized senders', () => {
    it('dead-letters an event from a wrong sender at once, counts it, and does not handle it', async () => {
      const before = await bakery.countUnauthorized('event');
      await bakery.publishers[intruderName]!.publish(createEvent('poisoned'));
      const { properties } = await bakery.takeDeadLetter();
      expect(properties).toMatchObject(matchRejected(intruderName, queues.events(bakeryName)));
      expect(await bakery.countUnauthorized('event')).toBe(before + 1);
      expect(await bakery.readLoaves()).not.toContain('poisoned');
    });

    it('dead-letters events and commands without a user id, and drops such queries', async () => {
      for (const [queue, { exchange, routingKey, content, options }] of [
        [queues.events(bakeryName), createEvent('nameless')],
        [queues.commands(bakeryName), createCommand('nameless')],
      ] as const) {
        bakery.operator.publish(exchange, routingKey, content, options);
        expect((await bakery.takeDeadLetter()).properties).toMatchObject(matchRejected(undefined, queue));
      }
      expect(await bakery.readLoaves()).not.toContain('nameless');
      const { content, options } = encodeRequest(
        { pattern: HowMany.name, data: {}, id: 'q' },
        { messageId: randomUUID(), replyTo: 'reply.unknown.1', headers: { deadline: Date.now() + 60_000 } },
      );
      bakery.operator.publish(exchanges.requests(bakeryName), HowMany.name, content, options);
      await eventually(async () => (await bakery.countUnauthorized('query')) === 1 || undefined);
      expect(await bakery.operator.checkQueue(queues.queries(bakeryName))).toMatchObject({ messageCount: 0 });
      expect(await bakery.operator.checkQueue(queues.dead(bakeryName))).toMatchObject({ messageCount: 0 });
    });

    it('dead-letters a command that was published with another routing key', async () => {
      await bakery.publishers[intruderName]!.publish(createDisguisedCommand('hidden'));
      // It has the routing key of a query, so it is routed to the queue of queries.
      await eventually(async () => (await bakery.countUnauthorized('command')) === 2 || undefined);
      expect(await bakery.readLoaves()).not.toContain('hidden');
    });

    it('dead-letters a command via a queue of its sender: the broker does not check routing keys there', async () => {
      const channel = await bakery.connections[intruderName]!.model!.createChannel();
      const { queue } = await channel.assertQueue('', {
        ...{ exclusive: true, messageTtl: 0 },
        ...{ deadLetterExchange: exchanges.requests(bakeryName), deadLetterRoutingKey: Bake.name },
      });
      const { content, options } = createCommand('smuggled');
      channel.sendToQueue(queue, content, { ...options, userId: intruderName });
      const { properties } = await bakery.takeDeadLetter();
      expect(properties.userId).toBe(intruderName);
      expect(properties.headers!['x-death']![0]).toMatchObject({ queue: queues.commands(bakeryName) });
      await channel.close();
      expect(await bakery.readLoaves()).not.toContain('smuggled');
    });

    it('dead-letters a command that was published as a CC to the replay exchange', async () => {
      const { content, options } = createCommand('slipped in');
      const to = { exchange: exchanges.dead(bakeryName), routingKey: `${intruderName}.dead`, content };
      await bakery.publishers[intruderName]!.publish({
        ...to,
        options: { ...options, CC: [queues.commands(bakeryName)] },
      });
      expect((await bakery.takeDeadLetter()).properties).toMatchObject(
        matchRejected(intruderName, queues.commands(bakeryName)),
      );
      expect(await bakery.readLoaves()).not.toContain('slipped in');
    });

    it('ignores the header `sender` of other senders', async () => {
      const { options, ...rest } = createEvent('passed on');
      const headers = { ...options.headers, sender: millName };
      await bakery.publishers[intruderName]!.publish({ ...rest, options: { ...options, headers } });
      expect((await bakery.takeDeadLetter()).properties).toMatchObject(
        matchRejected(intruderName, queues.events(bakeryName)),
      );
      bakery.operator.publish(rest.exchange, rest.routingKey, rest.content, { ...options, headers });
      expect((await bakery.takeDeadLetter()).properties).toMatchObject(
        matchRejected(undefined, queues.events(bakeryName)),
      );
      expect(await bakery.readLoaves()).not.toContain('passed on');
    });

    it('rejects a flood of them with one log line per second, and handles other messages meanwhile', async () => {
      const lines: unknown[] = [];
      const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation((line) => void lines.push(line));
      const error = jest.spyOn(Logger.prototype, 'error').mockImplementation((line) => void lines.push(line));
      const channel = await bakery.connections[intruderName]!.model!.createConfirmChannel();
      const began = performance.now();
      for (let n = 0; n < 600; n++) {
        const { exchange, content, options } = createCommand(`flood ${n}`);
        channel.publish(exchange, Bake.name, content, { ...options, userId: intruderName });
      }
      await channel.waitForConfirms();
      await bakery.publishers[millName]!.publish(createCommand('after the flood'));
      await eventually(bakery.createCounter('after the flood'), 20_000);
      const seconds = (performance.now() - began) / 1_000;
      await eventually(
        async () => (await bakery.operator.checkQueue(queues.dead(bakeryName))).messageCount === 600,
        20_000,
      );
      // In the second after a log line of an earlier test, they are only counted.
      await eventually(() => lines.some((line) => (line as { sender?: string }).sender === intruderName));
      warn.mockRestore();
      error.mockRestore();
      expect(lines.length).toBeLessThan(seconds + 3);
      await bakery.operator.purgeQueue(queues.dead(bakeryName));
      await channel.close();
      console.log(`600 rejected and one later message handled within ${seconds.toFixed(1)} s`);
    }, 60_000);
  });
