import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { service } from '@jogakbo/contract';
import { exchanges, queues, RabbitServer } from '@jogakbo/messaging';
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
import { firstValueFrom, from } from 'rxjs';
import { z } from 'zod';
import type { Handlers } from '@jogakbo/testing/conformance';
import { eventually } from '@jogakbo/testing';
import { RabbitHarness } from './rabbit-harness.ts';

const shop = service('shop');
const Look = shop.query('look', {
  input: z.strictObject({ thing: z.string() }),
  output: z.object({ seen: z.int() }),
});
const Listen = shop.query('listen', { input: z.strictObject({}), output: z.object({ heard: z.boolean() }) });
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
const stockQueue = 'barn.stock';

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

  describe('a plain AMQP caller', () => {
    async function open() {
      const channel = await harness.callerConnection.model!.createChannel();
      const { queue } = await channel.assertQueue('reply.guest.1', { exclusive: true });
      await channel.assertExchange(exchanges.replies('guest'), 'topic');
      await channel.bindQueue(queue, exchanges.replies('guest'), queue);
      const answers: ConsumeMessage[] = [];
      await channel.consume(queue, (message) => message && answers.push(message), { noAck: true });
      const send = (exchange: string, key: string, body: string, id: string) =>
        channel.publish(exchange, key, Buffer.from(body), { correlationId: id, replyTo: queue });
      return { channel, answers, send };
    }

    it('gets each answer in its own message: it does not announce support for batches', async () => {
      await harness.serve([[Look, ({ thing }: { thing: string }) => ({ seen: thing.length })]]);
      const { channel, answers, send } = await open();
      for (const id of ['1', '22', '333'])
        send(
          exchanges.requests(Look.name),
          Look.name,
          JSON.stringify({ pattern: Look.name, data: { thing: id }, id }),
          id,
        );
      await eventually(() => answers.length === 3);
      expect(
        answers.map(({ content, properties }) => [properties.correlationId, JSON.parse(`${content}`)]),
      ).toEqual(
        ['1', '22', '333'].map((id) => [id, { id, response: { seen: id.length }, isDisposed: true }]),
      );
      await channel.close();
    });

    it('gets an error for an unreadable request', async () => {
      await harness.serve([[Look, () => ({ seen: 1 })]]);
      const { channel, answers, send } = await open();
      for (const body of ['no JSON', '{"data":{}}'])
        send(exchanges.requests(Look.name), Look.name, body, 'a');
      await eventually(() => answers.length === 2);
      for (const { content } of answers)
        expect(JSON.parse(`${content}`)).toMatchObject({ err: { kind: 'fault', code: 'unreadable' } });
      await channel.close();
    });

    it('gets no answer to an event, which is retried and dead-lettered as usual', async () => {
      let attempts = 0;
      const failing: Handlers = [[Delivered, () => Promise.reject(new Error(`attempt ${++attempts}`))]];
      await harness.serve(failing);
      const { channel, answers, send } = await open();
      const event = { pattern: Delivered.name, data: { thing: 'hay', note: '' }, id: 'e' };
      send(exchanges.events(Delivered.name), Delivered.name, JSON.stringify(event), 'e');
      const letters = await eventually(async () => {
        const some = await harness.takeDeadLetters();
        return some.length > 0 && some;
      });
      expect(letters).toMatchObject([{ failures: attempts, cause: `Error: attempt ${harness.retries + 1}` }]);
      expect(answers).toEqual([]);
      await channel.close();
    });
  });

  it('a handler that returns a stream of several values fails', async () => {
    const server = new RabbitServer({
      ...{ service: 'shop', connection: harness.serverConnection, publisher: harness.publisher },
    });
    server.addHandler(Look.name, async () => from([{ seen: 1 }, { seen: 2 }]), false, { contract: Look });
    server.addHandler(Listen.name, async () => from([{ heard: true }]), false, { contract: Listen });
    const error = jest.fn();
    Object.assign((server as unknown as { logger: object }).logger, { error });
    await new Promise<void>((resolve, reject) => {
      void server.listen((failure) => (failure ? reject(failure as Error) : resolve()));
    });
    await expect(harness.ask(Listen, {})).resolves.toEqual({ heard: true });
    await expect(harness.ask(Look, { thing: 'x' })).rejects.toMatchObject({ code: 'internal' });
    expect(error.mock.calls[0]![0]).toMatchObject({
      err: { message: 'the handler of shop.look returned a stream of 2 values: return one' },
    });
    await server.close();
  });

  describe('a stock Nest server', () => {
    let barnServer: INestMicroservice;

    beforeEach(async () => {
      barnServer = await NestFactory.createMicroservice(BarnModule, {
        logger: false,
        transport: Transport.RMQ,
        options: {
          urls: [harness.broker.url],
          queue: stockQueue,
          queueOptions: { durable: true },
          noAck: true,
        },
      });
      await barnServer.listen();
      const channel = await harness.callerConnection.model!.createChannel();
      await channel.assertExchange(exchanges.requests(Count.name), 'topic');
      await channel.bindQueue(stockQueue, exchanges.requests(Count.name), Count.name);
      await channel.assertExchange(exchanges.events(Delivered.name), 'topic');
      await channel.bindQueue(stockQueue, exchanges.events(Delivered.name), Delivered.name);
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

  describe('queries of one event-loop iteration', () => {
    /** Collects copies of all messages with this routing key. */
    async function tap(exchange: string, key: string): Promise<ConsumeMessage[]> {
      const passed: ConsumeMessage[] = [];
      const channel = await harness.callerConnection.model!.createChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, exchange, key);
      await channel.consume(queue, (message) => message && passed.push(message), { noAck: true });
      return passed;
    }
    const things = Array.from({ length: 40 }, (_, length) => 'x'.repeat(length));

    it('are sent as one message, and so are their independent answers', async () => {
      await harness.serve([
        [
          Look,
          ({ thing }: { thing: string }) =>
            thing.length === 7 ? Promise.reject(new Error('secret')) : { seen: thing.length },
        ],
      ]);
      const [questions, answers] = [
        await tap(exchanges.requests(Look.name), Look.name),
        await tap(exchanges.replies(harness.callerConnection.login), '#'),
      ];
      const answered = await Promise.allSettled(things.map((thing) => harness.ask(Look, { thing })));
      for (const [length, one] of answered.entries()) {
        if (length === 7) expect(one).toMatchObject({ reason: { name: 'RemoteFault', code: 'internal' } });
        else expect(one).toEqual({ status: 'fulfilled', value: { seen: length } });
      }
      // At most 32 queries per message.
      await eventually(() => questions.length === 2 && answers.length > 0);
      expect(answers.length).toBeLessThan(10);
    });

    it('are answered independently: a slow one delays no others', async () => {
      let release = () => {};
      const held = new Promise<void>((resolve) => (release = resolve));
      await harness.serve([
        [
          Look,
          async ({ thing }: { thing: string }) => {
            if (thing === 'slow') await held;
            return { seen: thing.length };
          },
        ],
      ]);
      const slow = harness.ask(Look, { thing: 'slow' });
      await expect(
        Promise.all([harness.ask(Look, { thing: 'a' }), harness.ask(Look, { thing: 'ab' })]),
      ).resolves.toEqual([{ seen: 1 }, { seen: 2 }]);
      release();
      await expect(slow).resolves.toEqual({ seen: 4 });
    });

    it('wait together for a version that knows them', async () => {
      const newer: Handlers = [[Look, ({ thing }: { thing: string }) => ({ seen: thing.length })]];
      await (await harness.serve(newer)).close();
      await harness.serve([[Listen, () => ({ heard: true })]]);
      const asked = Promise.all(things.slice(0, 5).map((thing) => harness.ask(Look, { thing })));
      await sleep(300);
      await harness.serve(newer);
      await expect(asked).resolves.toEqual([0, 1, 2, 3, 4].map((seen) => ({ seen })));
    });

    it('are batched without commands: each command is a separate message', async () => {
      await harness.serve([[Take, ({ thing }: { thing: string }) => ({ taken: thing })]]);
      const commands = await tap(exchanges.requests(Take.name), Take.name);
      await Promise.all(things.slice(0, 5).map((thing) => harness.ask(Take, { thing })));
      await eventually(() => commands.length === 5);
      await harness.publisher.publish({
        ...{ exchange: exchanges.requests(Take.name), routingKey: Take.name },
        content: Buffer.from(
          JSON.stringify([1, 2].map((id) => ({ pattern: Take.name, data: { thing: 'x' }, id }))),
        ),
        options: { messageId: crypto.randomUUID(), contentType: 'application/vnd.jogakbo.batch+json' },
      });
      const [deadLettered] = await eventually(async () => {
        const letters = await harness.takeDeadLetters();
        return letters.length > 0 && letters;
      });
      expect(deadLettered).toMatchObject({
        failures: 1,
        cause: 'SyntaxError: only queries may be sent in a batch',
      });
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
