import { randomUUID } from 'node:crypto';
import { type Announcement, describe as describeContract } from '@jogakbo/contract';
import { UnitsOfWork } from '@jogakbo/consistency';
import {
  Ask,
  BrokerConnection,
  contextHeaders,
  encodeEvent,
  exchanges,
  Instances,
  Publisher,
  queues,
  RabbitClient,
} from '@jogakbo/messaging';
import { describe, expect, it, jest } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload, Transport } from '@nestjs/microservices';
import type { Message } from 'amqplib';
import { eventually } from '@jogakbo/testing';
import {
  type BakeryUnderTest,
  Grind,
  Ground,
  HowHeavy,
  HowMany,
  Weigh,
  bakeryName,
  createEvent,
  everything,
  intruderName,
  mill,
  millName,
  operatorName,
} from './bakery.ts';

export const testAnswersAndAnnouncements = (bakery: BakeryUnderTest) =>
  describe('answers and announcements', () => {
    it('accepts a reply only from the called service', async () => {
      const channel = await bakery.connections[millName]!.model!.createChannel();
      const { queue } = await channel.assertQueue(queues.queries(millName), { durable: true });
      await channel.bindQueue(queue, exchanges.requests(millName), Weigh.name);
      const answerAs = async (name: string, grams: number, { properties }: Message) =>
        bakery.publishers[name]!.publish({
          ...{ exchange: exchanges.replies(bakeryName), routingKey: properties.replyTo as string },
          content: Buffer.from(JSON.stringify({ response: { grams }, isDisposed: true })),
          options: { messageId: randomUUID(), correlationId: properties.correlationId as string },
        });
      await channel.consume(
        queue,
        async (message) => {
          await answerAs(intruderName, 1, message!);
          await answerAs(millName, 1_000, message!);
        },
        { noAck: true },
      );
      const client = new RabbitClient(
        bakery.connections[operatorName]!,
        bakery.publishers[operatorName]!,
        'test',
      );
      await client.connect();
      expect(await client.ask(HowHeavy, {})).toEqual({ grams: 1_000 });
      expect(await bakery.countUnauthorized('answer')).toBe(1);
      await client.close();
      await channel.close();
    });

    it('replies to other callers while the broker rejects replies to one login', async () => {
      // As after a roll-out with too few permissions for the service.
      await bakery.broker.restrict(bakeryName, {
        ...{ configure: '.*', write: '.*', read: '.*' },
        topics: [{ exchange: exchanges.replies(millName), write: '^$', read: '.*' }],
      });
      const clients = [operatorName, millName].map(
        (name) => new RabbitClient(bakery.connections[name]!, bakery.publishers[name]!, 'test'),
      ) as [RabbitClient, RabbitClient];
      await Promise.all(clients.map((client) => client.connect()));
      const [permitted, refused] = clients;
      for (let round = 0; round < 5; round++) {
        const lost = Promise.allSettled([1, 2].map(() => refused.ask(HowMany, {}, { timeout: 400 })));
        const answers = Array.from({ length: 10 }, () => permitted.ask(HowMany, {}, { timeout: 2_000 }));
        await expect(Promise.all(answers)).resolves.toHaveLength(10);
        for (const one of await lost) expect(one).toMatchObject({ reason: { code: 'timeout' } });
      }
      await bakery.broker.restrict(bakeryName, everything);
      await Promise.all(clients.map((client) => client.close()));
    });

    it('delivers events to a stock Nest consumer without permission for the default exchange', async () => {
      const queue = `${intruderName}.queue`;
      await bakery.broker.restrict(intruderName, {
        ...{ configure: `^${queue}$`, write: `^${queue}$`, read: '.*' },
        topics: [],
      });
      const seen: string[] = [];
      @Controller()
      class Stall {
        @EventPattern<string>(Ground.name)
        ground(@Payload() { bag }: { bag: string }) {
          seen.push(bag);
          return 'a return value that no caller waits for';
        }
      }
      const errors = jest.fn();
      const stall = await NestFactory.createMicroservice(
        { module: class {}, controllers: [Stall] },
        {
          logger: { log: () => {}, warn: errors, error: errors },
          transport: Transport.RMQ,
          options: {
            urls: [bakery.urls[intruderName]!],
            queue,
            queueOptions: { durable: true },
            noAck: false,
          },
        },
      );
      await stall.listen();
      await bakery.operator.bindQueue(queue, exchanges.events(millName), Ground.name);
      for (const bag of ['oats', 'spelt']) await bakery.publishers[millName]!.publish(createEvent(bag));
      await eventually(() => seen.length === 2 || undefined);
      expect(seen).toEqual(['oats', 'spelt']);
      expect(errors).not.toHaveBeenCalled();
      await stall.close();
      await bakery.operator.deleteQueue(queue);
      await bakery.broker.restrict(intruderName, everything);
    });

    it('accepts announcements only from the service itself, and those of HTTP upstreams only from the registry', async () => {
      const connection = await new BrokerConnection({ operator: operatorName }).open(
        bakery.urls[bakeryName]!,
        'listens',
      );
      bakery.connections['listens'] = connection;
      let refused = 0;
      connection.onRefusedMessage(() => (refused += 1));
      const own = new Publisher(connection);
      await own.open();
      const instances = new Instances(connection, own, 'test', undefined, 'routes');
      await instances.open();
      const announceAs = (name: string, more: Partial<Announcement> = {}) => {
        const data: Announcement = {
          ...{
            service: millName,
            version: '1',
            instance: `${name}-1`,
            state: 'up',
            url: 'http://127.0.0.1:9',
          },
          ...{
            startedAt: new Date().toISOString(),
            interval: 60,
            madeQueues: [],
            contract: describeContract(mill),
          },
          ...more,
        };
        const event = { id: randomUUID(), name: 'instances.announced', source: name, time: new Date(), data };
        const encoded = encodeEvent(event, contextHeaders(undefined));
        return bakery.publishers[name]!.publish({
          exchange: exchanges.events(event.name),
          routingKey: event.name,
          ...encoded,
        });
      };
      const getInstances = () =>
        instances.alive.filter(({ service }) => service === millName).map(({ instance }) => instance);
      await announceAs(intruderName);
      await announceAs(millName, { instance: `${millName}-real` });
      // Another service can neither end it nor announce an HTTP upstream.
      await announceAs(intruderName, { instance: `${millName}-real`, state: 'draining' });
      await announceAs(intruderName, { instance: 'foreign:1', upstream: 'http' });
      await announceAs(millName, { instance: `${millName}-last` });
      await eventually(() => getInstances().includes(`${millName}-last`) || undefined);
      expect(getInstances().sort()).toEqual([`${millName}-last`, `${millName}-real`]);
      expect(refused).toBe(3);
      await instances.close();
    });

    it('rejects calls and events that the service does not declare', async () => {
      const ask = bakery.running.app.get(Ask);
      const units = bakery.running.app.get(UnitsOfWork);
      const undeclared = `${bakeryName} does not declare that it calls ${Grind.name}: add it to \`calls\` of @Service`;
      await expect(ask(Grind, { bag: 'mine' })).rejects.toThrow(undeclared);
      await expect(units.run(async ({ send }) => send(Grind({ bag: 'mine' })))).rejects.toThrow(undeclared);
      await expect(units.run(async ({ publish }) => publish(Ground({ bag: 'mine' })))).rejects.toThrow(
        `${bakeryName} cannot publish ${Ground.name}: it belongs to ${millName}`,
      );
    });
  });
