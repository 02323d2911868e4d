import { randomBytes, randomUUID } from 'node:crypto';
import { type Announcement, describe as describeContract, service, type Body } from '@jogakbo/contract';
import { consistencyMigrations, UnitsOfWork, type UnitOfWork } from '@jogakbo/consistency';
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
  createPrivateBroker,
  createPrivateDatabase,
  type Private,
  type PrivateBroker,
} from '@jogakbo/testing';

// Logins are global in a broker: a parallel run of this suite must not delete them.
const unique = randomBytes(4).toString('hex').replace(/\d/g, 'x');
const [bakeryName, millName, intruderName, operatorName] = ['bakery', 'mill', 'intruder', 'operator'].map(
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

const Whisper = service(intruderName).event('whisper', z.object({}));

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
  migrations: [...consistencyMigrations, Tables1700000001000],
  handlers: [Baker],
})
class BakeryModule {}

describe('with a separate login for every service', () => {
  let broker: PrivateBroker;
  let database: Private;
  let running: RunningService;
  let operatorModel: ChannelModel;
  let operator: ConfirmChannel;
  const connections: Record<string, BrokerConnection> = {};
  const publishers: Record<string, Publisher> = {};
  const urls: Record<string, string> = {};

  async function open(name: string): Promise<void> {
    const connection = await new BrokerConnection({ operator: operatorName }).open(urls[name]!, name);
    connections[name] = connection;
    publishers[name] = new Publisher(connection);
    await publishers[name].open();
  }

  beforeAll(async () => {
    [broker, database] = await Promise.all([createPrivateBroker(), createPrivateDatabase()]);
    for (const name of [bakeryName, millName, intruderName, operatorName])
      urls[name] = await broker.login(name);
    operatorModel = await connect(urls[operatorName]!);
    operator = await operatorModel.createConfirmChannel();
    // As in a deployment.
    const retryDelays = [50, 100, 200];
    await assertGrantsStream(operator);
    const createDeclaration = (name: string, calls: string[], subscribesTo: string[] = []) => ({
      ...{ service: name, contracts: [], calls, subscribesTo, publishes: [], isGateway: false },
    });
    const registered = [
      createDeclaration(bakeryName, [Weigh.name], [Ground.name, Whisper.name]),
      createDeclaration(millName, [Bake.name, HowMany.name]),
      createDeclaration(intruderName, [HowMany.name]),
    ];
    await declareTopology(operator, registered, operatorName, retryDelays);
    await publishGrants(operator, registered, operatorName);
    const environment = {
      ...{ LOG_LEVEL: 'error', RETRY_DELAYS: retryDelays.join(), BROKER_OPERATOR: operatorName },
      ...{ RABBITMQ_URL: urls[bakeryName], DATABASE_URL: database.url },
      SERVICE_KEY: randomBytes(32).toString('base64url'),
    };
    const source = new DataSource({
      ...{ type: 'postgres', url: database.url },
      migrations: [...consistencyMigrations, Tables1700000001000],
    });
    await source.initialize();
    await source.runMigrations();
    await source.destroy();
    running = await start(BakeryModule, { environment });
    await Promise.all([open(millName), open(intruderName), open(operatorName)]);
  });
  afterAll(async () => {
    await running?.stop();
    await Promise.all(Object.values(connections).map((connection) => connection.close()));
    await operatorModel?.close();
    await Promise.all([broker.drop(), database.drop()]);
  });

  const readLoaves = async (): Promise<string[]> => {
    const rows: { bag: string }[] = await running.app.get(DataSource).query('SELECT bag FROM loaf');
    return rows.map(({ bag }) => bag);
  };
  const createEvent = (bag: string) => {
    const event = { id: randomUUID(), name: Ground.name, source: millName, time: new Date(), data: { bag } };
    return {
      exchange: exchanges.events(millName),
      routingKey: Ground.name,
      ...encodeEvent(event, contextHeaders(undefined)),
    };
  };
  const createCommand = (bag: string) => ({
    ...{ exchange: exchanges.requests(bakeryName), routingKey: Bake.name },
    ...encodeRequest(
      { pattern: Bake.name, data: { bag } },
      { messageId: randomUUID(), persistent: true, headers: contextHeaders(undefined) },
    ),
  });
  /** A command with a routing key that the sender may use. */
  const createDisguisedCommand = (bag: string) => ({ ...createCommand(bag), routingKey: HowMany.name });
  const takeDeadLetter = () =>
    eventually(
      async () => (await operator.get(queues.dead(bakeryName), { noAck: true })) || undefined,
    ) as Promise<GetMessage>;
  const countUnauthorized = async (kind: string): Promise<number> => {
    const text = await (await fetch(`${running.url}/metrics`)).text();
    const line = text.split('\n').find((one) => one.startsWith(`unauthorized_messages_total{kind="${kind}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };

  it('accepts an event from its owner, and a command from a service that declares it', async () => {
    await publishers[millName]!.publish(createEvent('white'));
    await publishers[millName]!.publish(createCommand('rye'));
    await eventually(async () => (await readLoaves()).length === 2 || undefined);
    expect((await readLoaves()).sort()).toEqual(['rye', 'white']);
  });

  const createWhisper = (id: string) => {
    const event = { id, name: Whisper.name, source: intruderName, time: new Date(), data: {} };
    return {
      ...{ exchange: exchanges.events(Whisper.name), routingKey: Whisper.name },
      ...encodeEvent(event, contextHeaders(undefined)),
    };
  };
  /** The number of loaves with this name; undefined: none. */
  const createCounter = (loaf: string) => async () =>
    (await readLoaves()).filter((one) => one === loaf).length || undefined;

  it('handles a message even if another sender used its id', async () => {
    const messages = [createEvent('raisin'), createCommand('plait')];
    for (const { options } of messages) {
      const before = (await createCounter('whispered')()) ?? 0;
      await publishers[intruderName]!.publish(createWhisper(options.messageId));
      await eventually(async () => ((await createCounter('whispered')()) ?? 0) > before);
    }
    for (const message of messages) await publishers[millName]!.publish(message);
    await eventually(createCounter('raisin'));
    await eventually(createCounter('plait'));
    // Repetitions of the same sender are still skipped.
    for (const message of messages) await publishers[millName]!.publish(message);
    await publishers[millName]!.publish(createCommand('after both'));
    await publishers[millName]!.publish(createEvent('after both'));
    await eventually(async () => (await createCounter('after both')()) === 2);
    expect([await createCounter('raisin')(), await createCounter('plait')()]).toEqual([1, 1]);
  });

  it('scopes idempotency keys by sender', async () => {
    const withKey = (bag: string) => {
      const { options, ...rest } = createCommand(bag);
      const headers = { ...options.headers, 'idempotency-key': 'guessed' };
      return { ...rest, options: { ...options, headers } };
    };
    await publishers[operatorName]!.publish(withKey('first'));
    await eventually(createCounter('first'));
    await publishers[millName]!.publish(withKey('second'));
    await eventually(createCounter('second'));
  });

  it('shares its inbox with instances of the previous version', async () => {
    const source = running.app.get(DataSource);
    // The previous version does this for each message.
    const insert = (key: string) =>
      source.query('INSERT INTO inbox (key) VALUES ($1) ON CONFLICT DO NOTHING RETURNING key', [key]);
    const [older, newer] = [createEvent('handled before'), createEvent('handled now')];
    expect(await insert(older.options.messageId)).toHaveLength(1);
    await publishers[millName]!.publish(older);
    await publishers[millName]!.publish(newer);
    await eventually(createCounter('handled now'));
    expect(await insert(newer.options.messageId)).toEqual([]);
    await publishers[millName]!.publish(createEvent('handled last'));
    await eventually(createCounter('handled last'));
    expect(await createCounter('handled before')()).toBeUndefined();
  });

  /** Matches a dead letter that the service rejected, with unchanged properties of its sender. */
  const matchRejected = (sender: string | undefined, queue: string) => ({
    userId: sender,
    headers: { 'x-death': [expect.objectContaining({ reason: 'rejected', queue })] },
  });

  it('dead-letters an event from a wrong sender at once, counts it, and does not handle it', async () => {
    const before = await countUnauthorized('event');
    await publishers[intruderName]!.publish(createEvent('poisoned'));
    const { properties } = await takeDeadLetter();
    expect(properties).toMatchObject(matchRejected(intruderName, queues.events(bakeryName)));
    expect(await countUnauthorized('event')).toBe(before + 1);
    expect(await readLoaves()).not.toContain('poisoned');
  });

  it('dead-letters events and commands without a user id, and drops such queries', async () => {
    for (const [queue, { exchange, routingKey, content, options }] of [
      [queues.events(bakeryName), createEvent('nameless')],
      [queues.commands(bakeryName), createCommand('nameless')],
    ] as const) {
      operator.publish(exchange, routingKey, content, options);
      expect((await takeDeadLetter()).properties).toMatchObject(matchRejected(undefined, queue));
    }
    expect(await readLoaves()).not.toContain('nameless');
    const { content, options } = encodeRequest(
      { pattern: HowMany.name, data: {}, id: 'q' },
      { messageId: randomUUID(), replyTo: 'reply.unknown.1', headers: { deadline: Date.now() + 60_000 } },
    );
    operator.publish(exchanges.requests(bakeryName), HowMany.name, content, options);
    await eventually(async () => (await countUnauthorized('query')) === 1 || undefined);
    expect(await operator.checkQueue(queues.queries(bakeryName))).toMatchObject({ messageCount: 0 });
    expect(await operator.checkQueue(queues.dead(bakeryName))).toMatchObject({ messageCount: 0 });
  });

  it('dead-letters a command that was published with another routing key', async () => {
    await publishers[intruderName]!.publish(createDisguisedCommand('hidden'));
    // It has the routing key of a query, so it is routed to the queue of queries.
    await eventually(async () => (await countUnauthorized('command')) === 2 || undefined);
    expect(await readLoaves()).not.toContain('hidden');
  });

  it('dead-letters a command via a queue of its sender: the broker does not check routing keys there', async () => {
    const channel = await connections[intruderName]!.model!.createChannel();
    const { queue } = await channel.assertQueue('', {
      ...{ exclusive: true, messageTtl: 0 },
      ...{ deadLetterExchange: exchanges.requests(bakeryName), deadLetterRoutingKey: Bake.name },
    });
    const { content, options } = createCommand('smuggled');
    channel.sendToQueue(queue, content, { ...options, userId: intruderName });
    const { properties } = await takeDeadLetter();
    expect(properties.userId).toBe(intruderName);
    expect(properties.headers!['x-death']![0]).toMatchObject({ queue: queues.commands(bakeryName) });
    await channel.close();
    expect(await readLoaves()).not.toContain('smuggled');
  });

  it('dead-letters a command that was published as a CC to the replay exchange', async () => {
    const { content, options } = createCommand('slipped in');
    const to = { exchange: exchanges.dead(bakeryName), routingKey: `${intruderName}.dead`, content };
    await publishers[intruderName]!.publish({
      ...to,
      options: { ...options, CC: [queues.commands(bakeryName)] },
    });
    expect((await takeDeadLetter()).properties).toMatchObject(
      matchRejected(intruderName, queues.commands(bakeryName)),
    );
    expect(await readLoaves()).not.toContain('slipped in');
  });

  it('ignores the header `sender` of other senders', async () => {
    const { options, ...rest } = createEvent('passed on');
    const headers = { ...options.headers, sender: millName };
    await publishers[intruderName]!.publish({ ...rest, options: { ...options, headers } });
    expect((await takeDeadLetter()).properties).toMatchObject(
      matchRejected(intruderName, queues.events(bakeryName)),
    );
    operator.publish(rest.exchange, rest.routingKey, rest.content, { ...options, headers });
    expect((await takeDeadLetter()).properties).toMatchObject(
      matchRejected(undefined, queues.events(bakeryName)),
    );
    expect(await readLoaves()).not.toContain('passed on');
  });

  it('rejects a flood of them with one log line per second, and handles other messages meanwhile', async () => {
    const lines: unknown[] = [];
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation((line) => void lines.push(line));
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation((line) => void lines.push(line));
    const channel = await connections[intruderName]!.model!.createConfirmChannel();
    const began = performance.now();
    for (let n = 0; n < 600; n++) {
      const { exchange, content, options } = createCommand(`flood ${n}`);
      channel.publish(exchange, Bake.name, content, { ...options, userId: intruderName });
    }
    await channel.waitForConfirms();
    await publishers[millName]!.publish(createCommand('after the flood'));
    await eventually(createCounter('after the flood'), 20_000);
    const seconds = (performance.now() - began) / 1_000;
    await eventually(
      async () => (await operator.checkQueue(queues.dead(bakeryName))).messageCount === 600,
      20_000,
    );
    // In the second after a log line of an earlier test, they are only counted.
    await eventually(() => lines.some((line) => (line as { sender?: string }).sender === intruderName));
    warn.mockRestore();
    error.mockRestore();
    expect(lines.length).toBeLessThan(seconds + 3);
    await operator.purgeQueue(queues.dead(bakeryName));
    await channel.close();
    console.log(`600 rejected and one later message handled within ${seconds.toFixed(1)} s`);
  }, 60_000);

  it('keeps the original sender in retries and in a replay by an operator', async () => {
    failures = 0;
    await publishers[millName]!.publish(createEvent('wet'));
    await eventually(async () => (await readLoaves()).includes('wet') || undefined);
    expect(failures).toBe(3);

    failures = 0;
    await publishers[millName]!.publish(createEvent('mouldy'));
    const { content, properties } = await takeDeadLetter();
    expect(properties).toMatchObject({ userId: bakeryName, headers: { sender: millName, failures: 4 } });
    failures = 99;
    await publishers[operatorName]!.publish({
      ...{ exchange: exchanges.dead(bakeryName), routingKey: queues.events(bakeryName), content },
      options: {
        messageId: randomUUID(),
        headers: { sender: properties.headers!['sender'], 'replayed-for': bakeryName },
      },
    });
    await eventually(async () => (await readLoaves()).includes('mouldy') || undefined);
  });

  it('accepts a reply only from the called service', async () => {
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
        await answerAs(intruderName, 1, message!);
        await answerAs(millName, 1_000, message!);
      },
      { noAck: true },
    );
    const client = new RabbitClient(connections[operatorName]!, publishers[operatorName]!, 'test');
    await client.connect();
    expect(await client.ask(HowHeavy, {})).toEqual({ grams: 1_000 });
    expect(await countUnauthorized('answer')).toBe(1);
    await client.close();
    await channel.close();
  });

  it('replies to other callers while the broker rejects replies to one login', async () => {
    // As after a roll-out with too few permissions for the service.
    await broker.restrict(bakeryName, {
      ...{ configure: '.*', write: '.*', read: '.*' },
      topics: [{ exchange: exchanges.replies(millName), write: '^$', read: '.*' }],
    });
    const clients = [operatorName, millName].map(
      (name) => new RabbitClient(connections[name]!, publishers[name]!, 'test'),
    ) as [RabbitClient, RabbitClient];
    await Promise.all(clients.map((client) => client.connect()));
    const [permitted, refused] = clients;
    for (let round = 0; round < 5; round++) {
      const lost = Promise.allSettled([1, 2].map(() => refused.ask(HowMany, {}, { timeout: 400 })));
      const answers = Array.from({ length: 10 }, () => permitted.ask(HowMany, {}, { timeout: 2_000 }));
      await expect(Promise.all(answers)).resolves.toHaveLength(10);
      for (const one of await lost) expect(one).toMatchObject({ reason: { code: 'timeout' } });
    }
    await broker.restrict(bakeryName, everything);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('delivers events to a stock Nest consumer without permission for the default exchange', async () => {
    const queue = `${intruderName}.queue`;
    await broker.restrict(intruderName, {
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
        options: { urls: [urls[intruderName]!], queue, queueOptions: { durable: true }, noAck: false },
      },
    );
    await stall.listen();
    await operator.bindQueue(queue, exchanges.events(millName), Ground.name);
    for (const bag of ['oats', 'spelt']) await publishers[millName]!.publish(createEvent(bag));
    await eventually(() => seen.length === 2 || undefined);
    expect(seen).toEqual(['oats', 'spelt']);
    expect(errors).not.toHaveBeenCalled();
    await stall.close();
    await operator.deleteQueue(queue);
    await broker.restrict(intruderName, everything);
  });

  it('accepts announcements only from the service itself, and those of HTTP upstreams only from the registry', async () => {
    const connection = await new BrokerConnection({ operator: operatorName }).open(
      urls[bakeryName]!,
      'listens',
    );
    connections['listens'] = connection;
    let refused = 0;
    connection.onRefusedMessage(() => (refused += 1));
    const own = new Publisher(connection);
    await own.open();
    const instances = new Instances(connection, own, 'test', undefined, 'routes');
    await instances.open();
    const announceAs = (name: string, more: Partial<Announcement> = {}) => {
      const data: Announcement = {
        ...{ service: millName, version: '1', instance: `${name}-1`, state: 'up', url: 'http://127.0.0.1:9' },
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
      return publishers[name]!.publish({
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
    const ask = running.app.get(Ask);
    const units = running.app.get(UnitsOfWork);
    const undeclared = `${bakeryName} does not declare that it calls ${Grind.name}: add it to \`calls\` of @Service`;
    await expect(ask(Grind, { bag: 'mine' })).rejects.toThrow(undeclared);
    await expect(units.run(async ({ send }) => send(Grind({ bag: 'mine' })))).rejects.toThrow(undeclared);
    await expect(units.run(async ({ publish }) => publish(Ground({ bag: 'mine' })))).rejects.toThrow(
      `${bakeryName} cannot publish ${Ground.name}: it belongs to ${millName}`,
    );
  });
});
