import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { service } from '@jogakbo/contract';
import { exchanges, queues } from '@jogakbo/messaging';
import { Controller, Logger, Module, type INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientProxyFactory,
  Ctx,
  EventPattern,
  MessagePattern,
  Payload,
  RmqContext,
  RpcException,
  Transport,
  type ClientProxy,
} from '@nestjs/microservices';
import type { ConsumeMessage } from 'amqplib';
import { HTTP, type CloudEvent } from 'cloudevents';
import { firstValueFrom } from 'rxjs';
import { z } from 'zod';
import { eventually } from '@jogakbo/testing';
import { RabbitHarness } from './rabbit-harness.ts';

const shop = service('shop');
const Look = shop.query('look', {
  input: z.strictObject({ thing: z.string() }),
  output: z.object({ seen: z.int() }),
});
const Take = shop.command('take', {
  input: z.strictObject({ thing: z.string() }),
  output: z.object({ taken: z.string() }),
  rejections: { 'none-left': 409 },
});
/** Served by a stock Nest service, not by `RabbitServer`. */
const barn = service('barn', '', { batches: false });
const Count = barn.query('count', {
  input: z.strictObject({ of: z.string() }),
  output: z.object({ count: z.int() }),
});
const Delivered = service('yard').event('delivered', z.object({ thing: z.string(), note: z.string() }), {
  subject: 'thing',
});
const nestQueue = 'barn.nest';

let receivedEvents: unknown[] = [];
Logger.overrideLogger(false);

@Controller()
class BarnController {
  @MessagePattern<string>(Count.name)
  count(@Payload() { of }: { of: string }) {
    if (of === 'text') throw new RpcException('no such animal');
    if (of === 'object') throw new RpcException({ code: 'stable-closed', message: 'come back later' });
    if (of === 'error') throw new Error('the inside of the barn');
    return { count: of.length };
  }

  @EventPattern<string>(Delivered.name)
  delivered(@Payload() data: unknown, @Ctx() context: RmqContext) {
    receivedEvents.push({ data, pattern: context.getPattern() });
  }
}

@Module({ controllers: [BarnController] })
class BarnModule {}

describe('on the wire', () => {
  let harness: RabbitHarness;
  beforeEach(async () => {
    receivedEvents = [];
    harness = await RabbitHarness.open();
  });
  afterEach(() => harness.close());

  describe('a stock Nest client', () => {
    const clients: ClientProxy[] = [];
    afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())));

    function createStockClient(queue: string): ClientProxy {
      const client = ClientProxyFactory.create({
        transport: Transport.RMQ,
        options: { urls: [harness.broker.url], queue, noAssert: true },
      });
      clients.push(client);
      return client;
    }

    it('calls a handler and gets its answer', async () => {
      await harness.serve([
        [Look, ({ thing }: { thing: string }) => ({ seen: thing.length })],
        [Take, ({ thing }: { thing: string }) => ({ taken: thing })],
      ]);
      const answer = firstValueFrom(
        createStockClient(queues.queries('shop')).send(Look.name, { thing: 'piano' }),
      );
      await expect(answer).resolves.toEqual({ seen: 5 });
      const done = firstValueFrom(
        createStockClient(queues.commands('shop')).send(Take.name, { thing: 'piano' }),
      );
      await expect(done).resolves.toEqual({ taken: 'piano' });
    });

    it('gets a rejection with its code, and a fault without internal details', async () => {
      await harness.serve([
        [Look, () => Promise.reject(new Error('secret'))],
        [Take, () => Promise.reject(Take.reject('none-left', 'sold out'))],
      ]);
      await expect(
        firstValueFrom(createStockClient(queues.commands('shop')).send(Take.name, { thing: 'a' })),
      ).rejects.toMatchObject({ code: 'none-left', message: 'sold out' });
      await expect(
        firstValueFrom(createStockClient(queues.queries('shop')).send(Look.name, { thing: 'a' })),
      ).rejects.toMatchObject({ code: 'internal', message: 'the service failed' });
    });

    it.each(['queries', 'commands'] as const)(
      'gets an error for a pattern without a handler, through the queue of %s',
      async (kind) => {
        await harness.serve([
          [Look, () => ({ seen: 1 })],
          [Take, () => ({ taken: 'x' })],
        ]);
        for (const pattern of [{ cmd: 'sum' }, 'shop.sum'])
          await expect(
            firstValueFrom(createStockClient(queues[kind]('shop')).send(pattern, [1, 2])),
          ).rejects.toMatchObject({
            code: 'unknown-pattern',
          });
      },
    );

    it('emits to a handler', async () => {
      const taken: string[] = [];
      await harness.serve([
        [
          Take,
          ({ thing }: { thing: string }) => {
            taken.push(thing);
            return { taken: thing };
          },
        ],
      ]);
      await firstValueFrom(createStockClient(queues.commands('shop')).emit(Take.name, { thing: 'harp' }), {
        defaultValue: undefined,
      });
      await eventually(() => taken.length === 1);
      expect(taken).toEqual(['harp']);
    });
  });

  describe('the client as a Nest ClientProxy', () => {
    it('uses one channel and one reply queue, and loses no answer', async () => {
      await harness.serve([[Take, ({ thing }: { thing: string }) => ({ taken: thing })]]);
      const opened = jest.spyOn(harness.callerConnection.model!, 'createChannel');
      const things = Array.from({ length: 50 }, (_, index) => `thing ${index}`);
      const answers = await Promise.all(
        things.map((thing) => firstValueFrom(harness.client.send(Take.name, { thing }))),
      );
      expect(answers).toEqual(things.map((taken) => ({ taken })));
      for (const thing of things)
        await firstValueFrom(harness.client.emit(Delivered.name, { thing, note: '' }), {
          defaultValue: undefined,
        });
      expect(opened).not.toHaveBeenCalled();
    });
  });

  describe('a stock Nest server', () => {
    let barnServer: INestMicroservice;

    beforeEach(async () => {
      barnServer = await NestFactory.createMicroservice(BarnModule, {
        logger: false,
        transport: Transport.RMQ,
        options: {
          urls: [harness.broker.url],
          queue: nestQueue,
          queueOptions: { durable: true },
          noAck: true,
        },
      });
      await barnServer.listen();
      const channel = await harness.callerConnection.model!.createChannel();
      await channel.assertExchange(exchanges.requests(Count.name), 'topic');
      await channel.bindQueue(nestQueue, exchanges.requests(Count.name), Count.name);
      await channel.assertExchange(exchanges.events(Delivered.name), 'topic');
      await channel.bindQueue(nestQueue, exchanges.events(Delivered.name), Delivered.name);
      await channel.close();
    });
    afterEach(async () => {
      // close() throws if the confirm of an answer is still pending.
      await sleep(200);
      await barnServer.close();
    });

    it('answers a query', async () => {
      await expect(harness.ask(Count, { of: 'sheep' })).resolves.toEqual({ count: 5 });
    });

    it('gets queries one by one, as declared in its contract', async () => {
      const asked = ['a', 'ab', 'abc'].map((of) => harness.ask(Count, { of }));
      await expect(Promise.all(asked)).resolves.toEqual([{ count: 1 }, { count: 2 }, { count: 3 }]);
    });

    it('returns its plain errors as faults', async () => {
      await expect(harness.ask(Count, { of: 'text' })).rejects.toMatchObject({
        name: 'RemoteFault',
        code: 'internal',
        message: 'no such animal',
      });
      await expect(harness.ask(Count, { of: 'object' })).rejects.toMatchObject({
        name: 'RemoteFault',
        code: 'stable-closed',
        message: 'come back later',
      });
      await expect(harness.ask(Count, { of: 'error' })).rejects.toMatchObject({
        name: 'RemoteFault',
        message: 'Internal server error',
      });
    });

    it('receives an event in the format of Nest', async () => {
      await harness.announce(Delivered, { thing: 'hay', note: '1' });
      await harness.announce(Delivered, { thing: 'hay', note: '2' });
      await eventually(() => receivedEvents.length === 2);
      expect(receivedEvents).toEqual([
        { data: { thing: 'hay', note: '1' }, pattern: Delivered.name },
        { data: { thing: 'hay', note: '2' }, pattern: Delivered.name },
      ]);
      // It still answers.
      await expect(harness.ask(Count, { of: 'sheep' })).resolves.toEqual({ count: 5 });
    });
  });

  it('an event is a CloudEvent to the official SDK', async () => {
    const channel = await harness.callerConnection.model!.createChannel();
    await channel.assertExchange(exchanges.events(Delivered.name), 'topic');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchanges.events(Delivered.name), '#');
    const arrived = new Promise<ConsumeMessage>((resolve) => {
      void channel.consume(queue, (message) => message && resolve(message), { noAck: true });
    });
    const data = { thing: 'hay', note: '건초' };
    const id = crypto.randomUUID();
    await harness.announce(Delivered, data, id);
    const { content, properties } = await arrived;

    const body = JSON.parse(content.toString()) as object;
    expect(body).toEqual({ pattern: Delivered.name, data });
    // The SDK has no binding for AMQP, which differs from HTTP only in the prefix of the attributes.
    const attributes = Object.entries(properties.headers as Record<string, string>).flatMap(
      ([name, value]) =>
        name.startsWith('cloudEvents:') ? [[name.replace('cloudEvents:', 'ce-'), value]] : [],
    );
    const headers = {
      ...Object.fromEntries(attributes),
      'content-type': properties.contentType as string,
    } as Record<string, string>;
    const seen = HTTP.toEvent({ headers, body: content.toString() }) as CloudEvent<unknown>;
    expect(seen.validate()).toBe(true);
    // The SDK adds missing attributes, so check the headers.
    expect(headers).toMatchObject({
      ...{ 'ce-specversion': '1.0', 'ce-id': id, 'ce-source': '/yard', 'ce-type': Delivered.name },
      'ce-subject': 'hay',
    });
    expect(seen).toMatchObject({ id, type: Delivered.name, data: body });
    expect(Math.abs(Date.parse(seen.time!) - Date.now())).toBeLessThan(60_000);
    await channel.close();
  });
});
