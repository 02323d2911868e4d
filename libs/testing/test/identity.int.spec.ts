import { randomBytes, randomUUID } from 'node:crypto';
import { type Announcement, describe as described, service, type Body } from '@jogakbo/contract';
import {
  Consistency1700000000000,
  InboxSender1700000000100,
  UnitsOfWork,
  type UnitOfWork,
} from '@jogakbo/consistency';
import {
  Ask,
  BrokerConnection,
  contextHeaders,
  encodeEvent,
  encodeRequest,
  exchanges,
  Handles,
  Instances,
  Publisher,
  queues,
  RabbitClient,
} from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { assertGrantsStream, publishGrants } from '@jogakbo/messaging/grants-stream';
import { Service, start, type RunningService } from '@jogakbo/service';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Controller, Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload, Transport } from '@nestjs/microservices';
import { connect, type ChannelModel, type ConfirmChannel, type GetMessage, type Message } from 'amqplib';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { z } from 'zod';
import {
  eventually,
  privateBroker,
  privateDatabase,
  type Private,
  type PrivateBroker,
} from '../src/index.ts';

// A login is known to the whole broker: another run of this suite must not take it away.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const [bakeryName, millName, thiefName, bossName] = ['bakery', 'mill', 'thief', 'boss'].map(
  (name) => `${name}${unique}`,
) as [string, string, string, string];
const mill = service(millName);
const Ground = mill.event('ground', z.object({ bag: z.string() }), { subject: 'bag' });
const Grind = mill.command('grind', { input: z.strictObject({ bag: z.string() }) });
const Weigh = mill.query('weigh', {
  input: z.strictObject({}),
  output: z.object({ grams: z.int() }),
});
const bakery = service(bakeryName);
const Bake = bakery.command('bake', { input: z.strictObject({ bag: z.string() }) });
const HowMany = bakery.query('how-many', {
  input: z.strictObject({}),
  output: z.object({ loaves: z.int() }),
});
const HowHeavy = bakery.query('how-heavy', {
  input: z.strictObject({}),
  output: z.object({ grams: z.int() }),
});

const Whisper = service(thiefName).event('whisper', z.object({}));

class Tables1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE loaf (bag text)');
  }
  async down(): Promise<void> {}
}

const everything = {
  ...{ configure: '.*', write: '.*', read: '.*' },
  topics: [{ exchange: exchanges.replies(millName), write: '.*', read: '.*' }],
};
let failures = 0;

@Controller()
class Baker {
  constructor(
    private readonly ask: Ask,
    private readonly dataSource: DataSource,
  ) {}

  @Handles(Ground)
  async ground({ bag }: Body<typeof Ground>, { tx }: UnitOfWork) {
    if (bag.startsWith('wet') && failures++ < 2) throw new Error('the flour is wet');
    if (bag.startsWith('mouldy') && failures++ < 99) throw new Error('the flour is mouldy');
    await tx.query('INSERT INTO loaf VALUES ($1)', [bag]);
  }

  @Handles(Whisper)
  async whisper(_: Body<typeof Whisper>, { tx }: UnitOfWork) {
    await tx.query("INSERT INTO loaf VALUES ('whispered')");
  }

  @Handles(Bake)
  async bake({ bag }: Body<typeof Bake>, { tx }: UnitOfWork) {
    await tx.query('INSERT INTO loaf VALUES ($1)', [bag]);
  }

  @Handles(HowMany)
  async howMany() {
    const [{ loaves }] = await this.dataSource.query('SELECT count(*)::int AS loaves FROM loaf');
    return { loaves };
  }

  @Handles(HowHeavy)
  howHeavy() {
    return this.ask(Weigh, {}, { timeout: 700 });
  }
}

@Service({
  contract: bakery,
  calls: [Weigh],
  migrations: [Consistency1700000000000, InboxSender1700000000100, Tables1700000001000],
  handlers: [Baker],
})
class BakeryModule {}

describe('where every service has a login of its own', () => {
  let broker: PrivateBroker;
  let database: Private;
  let running: RunningService;
  let bossModel: ChannelModel;
  let boss: ConfirmChannel;
  const connections: Record<string, BrokerConnection> = {};
  const publishers: Record<string, Publisher> = {};
  const urls: Record<string, string> = {};

  async function open(name: string): Promise<void> {
    const connection = await new BrokerConnection({ operator: bossName }).open(urls[name]!, name);
    connections[name] = connection;
    publishers[name] = new Publisher(connection);
    await publishers[name].open();
  }

  beforeAll(async () => {
    [broker, database] = await Promise.all([privateBroker(), privateDatabase()]);
    for (const name of [bakeryName, millName, thiefName, bossName]) urls[name] = await broker.login(name);
    bossModel = await connect(urls[bossName]!);
    boss = await bossModel.createConfirmChannel();
    // As the deploy step does.
    const ladder = [50, 100, 200];
    await assertGrantsStream(boss);
    const declares = (name: string, calls: string[], hears: string[] = []) => ({
      ...{ service: name, contracts: [], calls, hears, tells: [], isGateway: false },
    });
    const registered = [
      declares(bakeryName, [Weigh.name], [Ground.name, Whisper.name]),
      declares(millName, [Bake.name, HowMany.name]),
      declares(thiefName, [HowMany.name]),
    ];
    await declareTopology(boss, registered, bossName, ladder);
    await publishGrants(boss, registered, bossName);
    const environment = {
      ...{ LOG_LEVEL: 'error', RETRY_LADDER: ladder.join(), BROKER_OPERATOR: bossName },
      ...{ RABBITMQ_URL: urls[bakeryName], DATABASE_URL: database.url },
      SERVICE_KEY: randomBytes(32).toString('base64url'),
    };
    const source = new DataSource({
      ...{ type: 'postgres', url: database.url },
      migrations: [Consistency1700000000000, InboxSender1700000000100, Tables1700000001000],
    });
    await source.initialize();
    await source.runMigrations();
    await source.destroy();
    running = await start(BakeryModule, { environment });
    await Promise.all([open(millName), open(thiefName), open(bossName)]);
  });
  afterAll(async () => {
    await running?.stop();
    await Promise.all(Object.values(connections).map((connection) => connection.close()));
    await bossModel?.close();
    await Promise.all([broker.drop(), database.drop()]);
  });

  const loaves = async (): Promise<string[]> => {
    const rows: { bag: string }[] = await running.app.get(DataSource).query('SELECT bag FROM loaf');
    return rows.map(({ bag }) => bag);
  };
  const announced = (bag: string) => {
    const event = { id: randomUUID(), name: Ground.name, source: millName, time: new Date(), data: { bag } };
    return {
      exchange: exchanges.events(millName),
      routingKey: Ground.name,
      ...encodeEvent(event, contextHeaders(undefined)),
    };
  };
  const sent = (bag: string) => ({
    ...{ exchange: exchanges.requests(bakeryName), routingKey: Bake.name },
    ...encodeRequest(
      { pattern: Bake.name, data: { bag } },
      { messageId: randomUUID(), persistent: true, headers: contextHeaders(undefined) },
    ),
  });
  /** Under a key that the sender may use. */
  const disguised = (bag: string) => ({ ...sent(bag), routingKey: HowMany.name });
  const nextDead = () =>
    eventually(
      async () => (await boss.get(queues.dead(bakeryName), { noAck: true })) || undefined,
    ) as Promise<GetMessage>;
  const strangers = async (kind: string): Promise<number> => {
    const text = await (await fetch(`${running.url}/metrics`)).text();
    const line = text.split('\n').find((one) => one.startsWith(`messages_of_strangers_total{kind="${kind}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };

  it('takes an event from its owner, and a command from a service that declares it', async () => {
    await publishers[millName]!.publish(announced('white'));
    await publishers[millName]!.publish(sent('rye'));
    await eventually(async () => (await loaves()).length === 2 || undefined);
    expect((await loaves()).sort()).toEqual(['rye', 'white']);
  });

  const whispered = (id: string) => {
    const event = { id, name: Whisper.name, source: thiefName, time: new Date(), data: {} };
    return {
      ...{ exchange: exchanges.events(Whisper.name), routingKey: Whisper.name },
      ...encodeEvent(event, contextHeaders(undefined)),
    };
  };
  /** How often it was baked; undefined: never. */
  const count = (loaf: string) => async () =>
    (await loaves()).filter((one) => one === loaf).length || undefined;

  it('skips no message because another sender used its id', async () => {
    const messages = [announced('raisin'), sent('plait')];
    for (const { options } of messages) {
      const before = (await count('whispered')()) ?? 0;
      await publishers[thiefName]!.publish(whispered(options.messageId));
      await eventually(async () => ((await count('whispered')()) ?? 0) > before);
    }
    for (const message of messages) await publishers[millName]!.publish(message);
    await eventually(count('raisin'));
    await eventually(count('plait'));
    // The sender's own repetitions still are.
    for (const message of messages) await publishers[millName]!.publish(message);
    await publishers[millName]!.publish(sent('after both'));
    await publishers[millName]!.publish(announced('after both'));
    await eventually(async () => (await count('after both')()) === 2);
    expect([await count('raisin')(), await count('plait')()]).toEqual([1, 1]);
  });

  it('keeps the answer to an idempotency key for its sender', async () => {
    const withKey = (bag: string) => {
      const { options, ...rest } = sent(bag);
      const headers = { ...options.headers, 'idempotency-key': 'guessed' };
      return { ...rest, options: { ...options, headers } };
    };
    await publishers[bossName]!.publish(withKey('first'));
    await eventually(count('first'));
    await publishers[millName]!.publish(withKey('second'));
    await eventually(count('second'));
  });

  it('takes what an instance of the version before has handled for a duplicate, and the reverse', async () => {
    const source = running.app.get(DataSource);
    // What that version does with each message.
    const insert = (key: string) =>
      source.query('INSERT INTO inbox (key) VALUES ($1) ON CONFLICT DO NOTHING RETURNING key', [key]);
    const [older, newer] = [announced('handled before'), announced('handled now')];
    expect(await insert(older.options.messageId)).toHaveLength(1);
    await publishers[millName]!.publish(older);
    await publishers[millName]!.publish(newer);
    await eventually(count('handled now'));
    expect(await insert(newer.options.messageId)).toEqual([]);
    await publishers[millName]!.publish(announced('handled last'));
    await eventually(count('handled last'));
    expect(await count('handled before')()).toBeUndefined();
  });

  /** A letter that the broker put away because the service refused it, with what its sender wrote. */
  const refused = (sender: string | undefined, queue: string) => ({
    userId: sender,
    headers: { 'x-death': [expect.objectContaining({ reason: 'rejected', queue })] },
  });

  it('puts an event of somebody else away at once, counts it, and never handles it', async () => {
    const before = await strangers('event');
    await publishers[thiefName]!.publish(announced('poisoned'));
    const { properties } = await nextDead();
    expect(properties).toMatchObject(refused(thiefName, queues.events(bakeryName)));
    expect(await strangers('event')).toBe(before + 1);
    expect(await loaves()).not.toContain('poisoned');
  });

  it('puts a message of nobody away, be it an event or a command, and drops a query', async () => {
    for (const [queue, { exchange, routingKey, content, options }] of [
      [queues.events(bakeryName), announced('nameless')],
      [queues.commands(bakeryName), sent('nameless')],
    ] as const) {
      boss.publish(exchange, routingKey, content, options);
      expect((await nextDead()).properties).toMatchObject(refused(undefined, queue));
    }
    expect(await loaves()).not.toContain('nameless');
    const { content, options } = encodeRequest(
      { pattern: HowMany.name, data: {}, id: 'q' },
      { messageId: randomUUID(), replyTo: 'reply.nobody.1', headers: { deadline: Date.now() + 60_000 } },
    );
    boss.publish(exchanges.requests(bakeryName), HowMany.name, content, options);
    await eventually(async () => (await strangers('query')) === 1 || undefined);
    expect(await boss.checkQueue(queues.queries(bakeryName))).toMatchObject({ messageCount: 0 });
    expect(await boss.checkQueue(queues.dead(bakeryName))).toMatchObject({ messageCount: 0 });
  });

  it('puts a command away that came under the key of something else', async () => {
    await publishers[thiefName]!.publish(disguised('hidden'));
    // Its key is that of a query, so it came into the queue of those.
    await eventually(async () => (await strangers('command')) === 2 || undefined);
    expect(await loaves()).not.toContain('hidden');
  });

  it('puts a command away that a queue of its sender handed on: there the broker looks at no key', async () => {
    const channel = await connections[thiefName]!.model!.createChannel();
    const { queue } = await channel.assertQueue('', {
      ...{ exclusive: true, messageTtl: 0 },
      ...{ deadLetterExchange: exchanges.requests(bakeryName), deadLetterRoutingKey: Bake.name },
    });
    const { content, options } = sent('smuggled');
    channel.sendToQueue(queue, content, { ...options, userId: thiefName });
    const { properties } = await nextDead();
    expect(properties.userId).toBe(thiefName);
    expect(properties.headers!['x-death']![0]).toMatchObject({ queue: queues.commands(bakeryName) });
    await channel.close();
    expect(await loaves()).not.toContain('smuggled');
  });

  it('puts a command away that was slipped in beside another, to those that come again', async () => {
    const { content, options } = sent('slipped in');
    const to = { exchange: exchanges.dead(bakeryName), routingKey: `${thiefName}.dead`, content };
    await publishers[thiefName]!.publish({
      ...to,
      options: { ...options, CC: [queues.commands(bakeryName)] },
    });
    expect((await nextDead()).properties).toMatchObject(refused(thiefName, queues.commands(bakeryName)));
    expect(await loaves()).not.toContain('slipped in');
  });

  it('does not believe somebody else who says that he only sends on', async () => {
    const { options, ...rest } = announced('passed on');
    const headers = { ...options.headers, sender: millName };
    await publishers[thiefName]!.publish({ ...rest, options: { ...options, headers } });
    expect((await nextDead()).properties).toMatchObject(refused(thiefName, queues.events(bakeryName)));
    boss.publish(rest.exchange, rest.routingKey, rest.content, { ...options, headers });
    expect((await nextDead()).properties).toMatchObject(refused(undefined, queues.events(bakeryName)));
    expect(await loaves()).not.toContain('passed on');
  });

  it('refuses a flood of them with a line per second, while it goes on with everything else', async () => {
    const lines: unknown[] = [];
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation((line) => void lines.push(line));
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation((line) => void lines.push(line));
    const channel = await connections[thiefName]!.model!.createConfirmChannel();
    const began = performance.now();
    for (let n = 0; n < 600; n++) {
      const { exchange, content, options } = sent(`flood ${n}`);
      channel.publish(exchange, Bake.name, content, { ...options, userId: thiefName });
    }
    await channel.waitForConfirms();
    await publishers[millName]!.publish(sent('after the flood'));
    await eventually(count('after the flood'), 20_000);
    const seconds = (performance.now() - began) / 1_000;
    await eventually(
      async () => (await boss.checkQueue(queues.dead(bakeryName))).messageCount === 600,
      20_000,
    );
    // In the second of a line that the test before caused, they are only counted.
    await eventually(() => lines.some((line) => (line as { sender?: string }).sender === thiefName));
    warn.mockRestore();
    error.mockRestore();
    expect(lines.length).toBeLessThan(seconds + 3);
    await boss.purgeQueue(queues.dead(bakeryName));
    await channel.close();
    console.log(`600 refused, and one taken after them, within ${seconds.toFixed(1)} s`);
  }, 60_000);

  it('knows who sent it at first after a retry, and when an operator sends it again', async () => {
    failures = 0;
    await publishers[millName]!.publish(announced('wet'));
    await eventually(async () => (await loaves()).includes('wet') || undefined);
    expect(failures).toBe(3);

    failures = 0;
    await publishers[millName]!.publish(announced('mouldy'));
    const { content, properties } = await nextDead();
    expect(properties).toMatchObject({ userId: bakeryName, headers: { sender: millName, failures: 4 } });
    failures = 99;
    await publishers[bossName]!.publish({
      ...{ exchange: exchanges.dead(bakeryName), routingKey: queues.events(bakeryName), content },
      options: {
        messageId: randomUUID(),
        headers: { sender: properties.headers!['sender'], 'replayed-for': bakeryName },
      },
    });
    await eventually(async () => (await loaves()).includes('mouldy') || undefined);
  });

  it('takes an answer only from whom it asked', async () => {
    const channel = await connections[millName]!.model!.createChannel();
    const { queue } = await channel.assertQueue(queues.queries(millName), { durable: true });
    await channel.bindQueue(queue, exchanges.requests(millName), Weigh.name);
    const answerAs = async (name: string, grams: number, { properties }: Message) =>
      publishers[name]!.publish({
        ...{ exchange: exchanges.replies(bakeryName), routingKey: properties.replyTo as string },
        content: Buffer.from(JSON.stringify({ response: { grams }, isDisposed: true })),
        options: { messageId: randomUUID(), correlationId: properties.correlationId as string },
      });
    await channel.consume(
      queue,
      async (message) => {
        await answerAs(thiefName, 1, message!);
        await answerAs(millName, 1_000, message!);
      },
      { noAck: true },
    );
    const client = new RabbitClient(connections[bossName]!, publishers[bossName]!, 'test');
    await client.connect();
    expect(await client.ask(HowHeavy, {})).toEqual({ grams: 1_000 });
    expect(await strangers('answer')).toBe(1);
    await client.close();
    await channel.close();
  });

  it('answers everybody else where the broker refuses the answers to one login', async () => {
    // As after a roll-out that gave the service less than those who call it expect.
    await broker.restrict(bakeryName, {
      ...{ configure: '.*', write: '.*', read: '.*' },
      topics: [{ exchange: exchanges.replies(millName), write: '^$', read: '.*' }],
    });
    const clients = [bossName, millName].map(
      (name) => new RabbitClient(connections[name]!, publishers[name]!, 'test'),
    ) as [RabbitClient, RabbitClient];
    await Promise.all(clients.map((client) => client.connect()));
    const [trusted, refused] = clients;
    for (let round = 0; round < 5; round++) {
      const lost = Promise.allSettled([1, 2].map(() => refused.ask(HowMany, {}, { timeout: 400 })));
      const answers = Array.from({ length: 10 }, () => trusted.ask(HowMany, {}, { timeout: 2_000 }));
      await expect(Promise.all(answers)).resolves.toHaveLength(10);
      for (const one of await lost) expect(one).toMatchObject({ reason: { code: 'timeout' } });
    }
    await broker.restrict(bakeryName, everything);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('gives events to a stock Nest consumer that may not use the default exchange', async () => {
    const queue = `${thiefName}.stock`;
    await broker.restrict(thiefName, {
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
        options: { urls: [urls[thiefName]!], queue, queueOptions: { durable: true }, noAck: false },
      },
    );
    await stall.listen();
    await boss.bindQueue(queue, exchanges.events(millName), Ground.name);
    for (const bag of ['oats', 'spelt']) await publishers[millName]!.publish(announced(bag));
    await eventually(() => seen.length === 2 || undefined);
    expect(seen).toEqual(['oats', 'spelt']);
    expect(errors).not.toHaveBeenCalled();
    await stall.close();
    await boss.deleteQueue(queue);
    await broker.restrict(thiefName, everything);
  });

  it('lets everybody speak for himself alone, and the registry for those that are not on the bus', async () => {
    const connection = await new BrokerConnection({ operator: bossName }).open(urls[bakeryName]!, 'listens');
    connections['listens'] = connection;
    let refused = 0;
    connection.onStranger(() => (refused += 1));
    const own = new Publisher(connection);
    await own.open();
    const instances = new Instances(connection, own, 'test', undefined, 'routes');
    await instances.open();
    const tell = (name: string, more: Partial<Announcement> = {}) => {
      const data: Announcement = {
        ...{ service: millName, version: '1', instance: `${name}-1`, state: 'up', url: 'http://127.0.0.1:9' },
        ...{ startedAt: new Date().toISOString(), interval: 60, madeQueues: [], contract: described(mill) },
        ...more,
      };
      const event = { id: randomUUID(), name: 'instances.announced', source: name, time: new Date(), data };
      const encoded = encodeEvent(event, contextHeaders(undefined));
      return publishers[name]!.publish({
        exchange: exchanges.events(event.name),
        routingKey: event.name,
        ...encoded,
      });
    };
    const names = () =>
      instances.alive.filter(({ service }) => service === millName).map(({ instance }) => instance);
    await tell(thiefName);
    await tell(millName, { instance: `${millName}-real` });
    // Somebody else can neither end it nor speak as a registry.
    await tell(thiefName, { instance: `${millName}-real`, state: 'draining' });
    await tell(thiefName, { instance: 'foreign:1', upstream: 'http' });
    await tell(millName, { instance: `${millName}-last` });
    await eventually(() => names().includes(`${millName}-last`) || undefined);
    expect(names().sort()).toEqual([`${millName}-last`, `${millName}-real`]);
    expect(refused).toBe(3);
    await instances.close();
  });

  it('says at once, and to itself, what it does not declare', async () => {
    const ask = running.app.get(Ask);
    const units = running.app.get(UnitsOfWork);
    const undeclared = `${bakeryName} does not declare that it calls ${Grind.name}: add it to \`calls\` of @Service`;
    await expect(ask(Grind, { bag: 'mine' })).rejects.toThrow(undeclared);
    await expect(units.run(async ({ send }) => send(Grind({ bag: 'mine' })))).rejects.toThrow(undeclared);
    await expect(units.run(async ({ publish }) => publish(Ground({ bag: 'mine' })))).rejects.toThrow(
      `${bakeryName} cannot announce ${Ground.name}: it belongs to ${millName}`,
    );
  });
});
