import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Rejection, service, type AnyContract, type AnyRequest } from '@jogakbo/contract';
import {
  BrokerConnection,
  contextHeaders,
  encodeEvent,
  encodeRequest,
  exchanges,
  Publisher,
  queues,
  RabbitClient,
  RabbitServer,
} from '@jogakbo/messaging';
import { eventually, privateBroker, type PrivateBroker } from '../src/index.ts';
import { z } from 'zod';

const shop = service('shop');
const input = z.strictObject({ thing: z.string(), count: z.int().default(1) });
const Look = shop.query('look', { input, output: z.object({ seen: z.int() }) });
const Take = shop.command('take', {
  input,
  output: z.object({ taken: z.int() }),
  rejections: { 'none-left': 409 },
  subject: 'thing',
});
const Mend = shop.command('mend', { input: z.strictObject({ thing: z.string() }), subject: 'thing' });
const yard = service('yard');
const Delivered = yard.event('delivered', z.object({ thing: z.string() }), { subject: 'thing' });
const ladder = [30, 60, 90];

describe('the transport', () => {
  let broker: PrivateBroker;
  let connection: BrokerConnection;
  let publisher: Publisher;
  let client: RabbitClient;
  const servers: RabbitServer[] = [];

  beforeEach(async () => {
    broker = await privateBroker();
    connection = await new BrokerConnection().open(broker.url, 'test');
    publisher = new Publisher(connection);
    await publisher.open();
    client = new RabbitClient(connection, publisher, 'test');
    await client.connect();
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
    await client.close();
    await connection.close();
    await broker.drop();
  });

  type Handlers = [AnyContract, (data: never) => unknown][];

  async function serve(handlers: Handlers, prefetch = 64): Promise<RabbitServer> {
    const server = new RabbitServer({ service: 'shop', connection, publisher, ladder, prefetch });
    Object.assign((server as unknown as { logger: object }).logger, { error: () => {}, warn: () => {} });
    for (const [contract, handle] of handlers)
      server.listenTo(contract, async (data) => handle(data as never));
    await new Promise<void>((resolve, reject) => {
      void server.listen((error) => (error ? reject(error as Error) : resolve()));
    });
    servers.push(server);
    return server;
  }

  const send = (contract: AnyRequest, data: unknown, messageId: string = randomUUID()) =>
    publisher.publish({
      exchange: exchanges.commands,
      routingKey: contract.name,
      ...encodeRequest(
        { pattern: contract.name, data },
        { messageId, persistent: true, headers: contextHeaders(undefined) },
      ),
    });

  async function dead(): Promise<{ headers: Record<string, unknown>; content: string }[]> {
    const channel = await connection.model!.createChannel();
    const letters = [];
    for (
      let letter = await channel.get(queues.dead('shop'));
      letter;
      letter = await channel.get(queues.dead('shop'))
    ) {
      letters.push({ headers: letter.properties.headers ?? {}, content: letter.content.toString() });
    }
    await channel.close();
    return letters;
  }

  it('carries a question and its answer, defaults filled in', async () => {
    await serve([[Look, ({ count }: { count: number }) => ({ seen: count })]]);
    await expect(client.ask(Look, { thing: 'a' })).resolves.toEqual({ seen: 1 });
  });

  it('carries a "no" with its code, and hides what is inside a fault', async () => {
    await serve([
      [Take, () => Promise.reject(Take.reject('none-left', 'sold out'))],
      [Look, () => Promise.reject(new Error('password of the database is 1234'))],
    ]);
    const no = await client.ask(Take, { thing: 'a' }).catch((error: unknown) => error);
    expect(no).toBeInstanceOf(Rejection);
    expect(no).toMatchObject({ code: 'none-left', status: 409, message: 'sold out' });
    await expect(client.ask(Look, { thing: 'a' })).rejects.toMatchObject({
      code: 'internal',
      message: 'the service failed',
    });
  });

  it('refuses input that does not fit before the handler sees it, and answers that do not before they leave', async () => {
    let handled = 0;
    await serve([[Look, () => ({ seen: `${++handled}` })]]);
    await expect(client.ask(Look, { thing: 'a', colour: 'red' } as never)).rejects.toMatchObject({
      code: 'invalid',
      errors: [{ path: 'colour', message: 'unknown field' }],
    });
    expect(handled).toBe(0);
    await expect(client.ask(Look, { thing: 'a' })).rejects.toMatchObject({ code: 'internal' });
  });

  it('says at once that nobody is there', async () => {
    const asked = performance.now();
    await expect(client.ask(Look, { thing: 'a' })).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - asked).toBeLessThan(1_000);
  });

  it('never runs a request after its deadline', async () => {
    let ran = 0;
    const busy = await serve([
      [Take, () => ({ taken: ++ran })],
      [Look, () => ({ seen: ++ran })],
    ]);
    await busy.close();
    const late = Array.from({ length: 25 }, (_, i) => [
      client.ask(Take, { thing: `${i}` }, { timeout: 150 }),
      client.ask(Look, { thing: `${i}` }, { timeout: 150 }),
    ]).flat();
    const outcomes = await Promise.allSettled(late);
    expect(outcomes.every((one) => one.status === 'rejected' && one.reason.code === 'timeout')).toBe(true);
    await serve([
      [Take, () => ({ taken: ++ran })],
      [Look, () => ({ seen: ++ran })],
    ]);
    await expect(client.ask(Take, { thing: 'x' })).resolves.toEqual({ taken: 1 });
    await sleep(100);
    expect(ran).toBe(1);
    // Nobody has to look into it: whoever asked was told.
    expect(await dead()).toEqual([]);
  });

  it('never runs a request whose deadline passed while it waited for its turn', async () => {
    const ran: string[] = [];
    await serve([
      [
        Take,
        async ({ thing, count }: { thing: string; count: number }) => {
          ran.push(`${thing}${count}`);
          await sleep(300);
          return { taken: 1 };
        },
      ],
    ]);
    const first = client.ask(Take, { thing: 'a', count: 1 });
    await sleep(20);
    await expect(client.ask(Take, { thing: 'a', count: 2 }, { timeout: 100 })).rejects.toMatchObject({
      code: 'timeout',
    });
    await first;
    await sleep(150);
    expect(ran).toEqual(['a1']);
  });

  it('tries again exactly as often as the ladder says, then buries with the cause; good messages pass', async () => {
    const attempts: string[] = [];
    await serve(
      [
        [
          Mend,
          ({ thing }: { thing: string }) => {
            attempts.push(thing);
            if (thing === 'broken') throw new Error('beyond repair');
          },
        ],
      ],
      2,
    );
    await send(Mend, { thing: 'broken' });
    for (let i = 0; i < 20; i++) await send(Mend, { thing: `good ${i}` });
    await eventually(() => attempts.filter((thing) => thing.startsWith('good')).length === 20, 2_000);
    const [letter] = await eventually(async () => {
      const letters = await dead();
      return letters.length > 0 && letters;
    });
    expect(attempts.filter((thing) => thing === 'broken')).toHaveLength(ladder.length + 1);
    expect(letter!.headers).toMatchObject({
      cause: 'Error: beyond repair',
      failures: ladder.length + 1,
      queue: 'shop.commands',
    });
    expect(letter!.headers['stack']).toContain('transport.int.spec');
    expect(Date.parse(String(letter!.headers['last-failed-at']))).toBeGreaterThan(
      Date.parse(String(letter!.headers['first-failed-at'])),
    );
  });

  it('buries at once what no attempt can mend', async () => {
    let handled = 0;
    await serve([
      [
        Mend,
        () => {
          handled++;
          throw new Rejection('never', 409);
        },
      ],
      [Delivered, () => {}],
    ]);
    await send(Mend, { thing: 'refused' });
    await send(Mend, { unknown: true });
    const raw = (content: string) =>
      publisher.publish({
        exchange: exchanges.events,
        routingKey: Delivered.name,
        content: Buffer.from(content),
        options: { messageId: randomUUID() },
      });
    await raw('{ not json');
    await raw('{"data":{}}');
    const causes: string[] = [];
    await eventually(async () => {
      causes.push(...(await dead()).map(({ headers }) => String(headers['cause'])));
      return causes.length >= 4;
    });
    expect(causes.sort()).toEqual([
      expect.stringContaining('Rejection: never'),
      expect.stringContaining('Rejection: the input does not fit'),
      expect.stringContaining('SyntaxError'),
      expect.stringContaining('SyntaxError: the message names no pattern'),
    ]);
    expect(handled).toBe(1);
  });

  it('keeps the order of one thing while others overtake', async () => {
    const seen: string[] = [];
    await serve([
      [
        Delivered,
        async ({ thing }: { thing: string }) => {
          if (thing === 'slow') await sleep(20);
          seen.push(thing);
        },
      ],
    ]);
    const tell = (thing: string) => {
      const event = {
        id: randomUUID(),
        name: Delivered.name,
        source: 'yard',
        subject: thing,
        time: new Date(),
        data: { thing },
      };
      return publisher.publish({
        exchange: exchanges.events,
        routingKey: Delivered.name,
        ...encodeEvent(event, {}),
      });
    };
    for (let i = 0; i < 5; i++) await tell('slow');
    for (let i = 0; i < 5; i++) await tell('fast');
    await eventually(() => seen.length === 10);
    expect(seen.indexOf('fast')).toBeLessThan(seen.lastIndexOf('slow'));
  });

  it('comes back by itself after its connection was cut', async () => {
    const server = await serve([
      [Look, () => ({ seen: 1 })],
      [Mend, () => {}],
    ]);
    const pending = client.ask(Look, { thing: 'a' });
    await pending;
    expect(await broker.cutConnections()).toBeGreaterThan(0);
    await eventually(() => !server.ready || !client.ready, 5_000);
    await eventually(() => server.ready && client.ready, 10_000);
    await expect(eventually(() => client.ask(Look, { thing: 'b' }))).resolves.toEqual({ seen: 1 });
  });

  it('fails what was pending when the connection went', async () => {
    await serve([[Look, () => sleep(12_000, { seen: 1 }, { ref: false })]]);
    const pending = client.ask(Look, { thing: 'a' }, { timeout: 20_000 }).catch((error: unknown) => error);
    await broker.cutConnections();
    await expect(pending).resolves.toMatchObject({ code: 'unavailable' });
    await eventually(() => client.ready);
  });

  it('makes its queue anew where somebody deleted it', async () => {
    const server = await serve([[Mend, () => {}]]);
    const channel = await connection.model!.createChannel();
    await channel.deleteQueue(queues.commands('shop'));
    await channel.close();
    await eventually(() => !server.ready, 2_000);
    await eventually(() => server.ready, 5_000);
    await send(Mend, { thing: 'a' });
  });

  it('ends what it has begun before it leaves; nothing is given out again', async () => {
    const begun: string[] = [];
    const ended: string[] = [];
    const handlers: Handlers = [
      [
        Mend,
        async ({ thing }: { thing: string }) => {
          begun.push(thing);
          await sleep(50);
          ended.push(thing);
        },
      ],
    ];
    const first = await serve(handlers, 5);
    for (let i = 0; i < 40; i++) await send(Mend, { thing: `${i}` });
    await eventually(() => begun.length >= 5);
    await first.close();
    expect(ended).toHaveLength(begun.length);
    await serve(handlers, 40);
    await eventually(() => ended.length === 40);
    expect(begun).toHaveLength(40);
  });

  it('speaks with a stock Nest client’s way of asking', async () => {
    await serve([[Look, () => ({ seen: 7 })]]);
    const channel = await connection.model!.createChannel();
    const answer = new Promise<string>((resolve) => {
      void channel.consume(
        'amq.rabbitmq.reply-to',
        (message) => message && resolve(message.content.toString()),
        { noAck: true },
      );
    });
    const body = Buffer.from(JSON.stringify({ pattern: Look.name, data: { thing: 'a' }, id: 'n1' }));
    await sleep(50);
    channel.sendToQueue(queues.queries('shop'), body, {
      replyTo: 'amq.rabbitmq.reply-to',
      correlationId: 'n1',
    });
    expect(JSON.parse(await answer)).toEqual({ id: 'n1', response: { seen: 7 }, isDisposed: true });
  });
});
