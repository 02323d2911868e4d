import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { service } from '@jogakbo/contract';
import { exchanges, RabbitServer } from '@jogakbo/messaging';
import { eventually } from '@jogakbo/testing';
import type { Handlers } from '@jogakbo/testing/conformance';
import { Logger } from '@nestjs/common';
import type { ConsumeMessage } from 'amqplib';
import { from } from 'rxjs';
import { z } from 'zod';
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
const Delivered = service('yard').event('delivered', z.object({ thing: z.string(), note: z.string() }), {
  subject: 'thing',
});

Logger.overrideLogger(false);

describe('on the wire', () => {
  let harness: RabbitHarness;
  beforeEach(async () => {
    harness = await RabbitHarness.open();
  });
  afterEach(() => harness.close());

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
});
