import { randomUUID } from 'node:crypto';
import { exchanges, queues } from '@jogakbo/messaging';
import { describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { eventually } from '@jogakbo/testing';
import {
  type BakeryUnderTest,
  bakeryName,
  createCommand,
  createEvent,
  createWhisper,
  intruderName,
  millName,
  operatorName,
  oven,
} from './bakery.ts';

export const testAcceptedMessages = (bakery: BakeryUnderTest) =>
  describe('authorized senders', () => {
    it('accepts an event from its owner, and a command from a service that declares it', async () => {
      await bakery.publishers[millName]!.publish(createEvent('white'));
      await bakery.publishers[millName]!.publish(createCommand('rye'));
      await eventually(async () => (await bakery.readLoaves()).length === 2 || undefined);
      expect((await bakery.readLoaves()).sort()).toEqual(['rye', 'white']);
    });

    it('handles a message even if another sender used its id', async () => {
      const messages = [createEvent('raisin'), createCommand('plait')];
      for (const { options } of messages) {
        const before = (await bakery.createCounter('whispered')()) ?? 0;
        await bakery.publishers[intruderName]!.publish(createWhisper(options.messageId));
        await eventually(async () => ((await bakery.createCounter('whispered')()) ?? 0) > before);
      }
      for (const message of messages) await bakery.publishers[millName]!.publish(message);
      await eventually(bakery.createCounter('raisin'));
      await eventually(bakery.createCounter('plait'));
      // Repetitions of the same sender are still skipped.
      for (const message of messages) await bakery.publishers[millName]!.publish(message);
      await bakery.publishers[millName]!.publish(createCommand('after both'));
      await bakery.publishers[millName]!.publish(createEvent('after both'));
      await eventually(async () => (await bakery.createCounter('after both')()) === 2);
      expect([await bakery.createCounter('raisin')(), await bakery.createCounter('plait')()]).toEqual([1, 1]);
    });

    it('scopes idempotency keys by sender', async () => {
      const withKey = (bag: string) => {
        const { options, ...rest } = createCommand(bag);
        const headers = { ...options.headers, 'idempotency-key': 'guessed' };
        return { ...rest, options: { ...options, headers } };
      };
      await bakery.publishers[operatorName]!.publish(withKey('first'));
      await eventually(bakery.createCounter('first'));
      await bakery.publishers[millName]!.publish(withKey('second'));
      await eventually(bakery.createCounter('second'));
    });

    it('shares its inbox with instances of the previous version', async () => {
      const source = bakery.running.app.get(DataSource);
      // The previous version does this for each message.
      const insert = (key: string) =>
        source.query('INSERT INTO inbox (key) VALUES ($1) ON CONFLICT DO NOTHING RETURNING key', [key]);
      const [older, newer] = [createEvent('handled before'), createEvent('handled now')];
      expect(await insert(older.options.messageId)).toHaveLength(1);
      await bakery.publishers[millName]!.publish(older);
      await bakery.publishers[millName]!.publish(newer);
      await eventually(bakery.createCounter('handled now'));
      expect(await insert(newer.options.messageId)).toEqual([]);
      await bakery.publishers[millName]!.publish(createEvent('handled last'));
      await eventually(bakery.createCounter('handled last'));
      expect(await bakery.createCounter('handled before')()).toBeUndefined();
    });

    it('keeps the original sender in retries and in a replay by an operator', async () => {
      oven.failures = 0;
      await bakery.publishers[millName]!.publish(createEvent('wet'));
      await eventually(async () => (await bakery.readLoaves()).includes('wet') || undefined);
      expect(oven.failures).toBe(3);

      oven.failures = 0;
      await bakery.publishers[millName]!.publish(createEvent('mouldy'));
      const { content, properties } = await bakery.takeDeadLetter();
      expect(properties).toMatchObject({ userId: bakeryName, headers: { sender: millName, failures: 4 } });
      oven.failures = 99;
      await bakery.publishers[operatorName]!.publish({
        ...{ exchange: exchanges.dead(bakeryName), routingKey: queues.events(bakeryName), content },
        options: {
          messageId: randomUUID(),
          headers: { sender: properties.headers!['sender'], 'replayed-for': bakeryName },
        },
      });
      await eventually(async () => (await bakery.readLoaves()).includes('mouldy') || undefined);
    });
  });
