import { randomBytes, randomUUID } from 'node:crypto';
import { service, type Body } from '@jogakbo/contract';
import { consistencyMigrations, type UnitOfWork } from '@jogakbo/consistency';
import {
  Ask,
  BrokerConnection,
  contextHeaders,
  encodeEvent,
  encodeRequest,
  exchanges,
  Handles,
  Publisher,
  queues,
} from '@jogakbo/messaging';
import { declareTopology } from '@jogakbo/messaging/declare-topology';
import { assertGrantsStream, publishGrants } from '@jogakbo/messaging/grants-stream';
import { Service, start, type RunningService } from '@jogakbo/service';
import { expect } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { connect, type ChannelModel, type ConfirmChannel, type GetMessage } from 'amqplib';
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
export const [bakeryName, millName, intruderName, operatorName] = [
  'bakery',
  'mill',
  'intruder',
  'operator',
].map((name) => `${name}${unique}`) as [string, string, string, string];
export const mill = service(millName);
export const Ground = mill.event('ground', z.object({ bag: z.string() }), { subject: 'bag' });
export const Grind = mill.command('grind', { input: z.strictObject({ bag: z.string() }) });
export const Weigh = mill.query('weigh', {
  input: z.strictObject({}),
  output: z.object({ grams: z.int() }),
});
const bakery = service(bakeryName);
export const Bake = bakery.command('bake', { input: z.strictObject({ bag: z.string() }) });
export const HowMany = bakery.query('how-many', {
  input: z.strictObject({}),
  output: z.object({ loaves: z.int() }),
});
export const HowHeavy = bakery.query('how-heavy', {
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

export const everything = {
  ...{ configure: '.*', write: '.*', read: '.*' },
  topics: [{ exchange: exchanges.replies(millName), write: '.*', read: '.*' }],
};
/** How often the baker has failed. */
export const oven = { failures: 0 };

@Controller()
class Baker {
  constructor(
    private readonly ask: Ask,
    private readonly dataSource: DataSource,
  ) {}

  @Handles(Ground)
  async ground({ bag }: Body<typeof Ground>, { tx }: UnitOfWork) {
    if (bag.startsWith('wet') && oven.failures++ < 2) throw new Error('the flour is wet');
    if (bag.startsWith('mouldy') && oven.failures++ < 99) throw new Error('the flour is mouldy');
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

const createDeclaration = (name: string, calls: string[], subscribesTo: string[] = []) => ({
  ...{ service: name, contracts: [], calls, subscribesTo, publishes: [], isGateway: false },
});
const migrations = [...consistencyMigrations, Tables1700000001000];

/** A service on a broker with a login for every service, and connections with the logins of others. */
export class BakeryUnderTest {
  broker: PrivateBroker;
  running: RunningService;
  operator: ConfirmChannel;
  readonly connections: Record<string, BrokerConnection> = {};
  readonly publishers: Record<string, Publisher> = {};
  readonly urls: Record<string, string> = {};
  #database: Private;
  #operatorModel: ChannelModel;

  async start(): Promise<void> {
    [this.broker, this.#database] = await Promise.all([createPrivateBroker(), createPrivateDatabase()]);
    for (const name of [bakeryName, millName, intruderName, operatorName])
      this.urls[name] = await this.broker.login(name);
    const retryDelays = [50, 100, 200];
    await this.#deploy(retryDelays);
    const environment = {
      ...{ LOG_LEVEL: 'error', RETRY_DELAYS: retryDelays.join(), BROKER_OPERATOR: operatorName },
      ...{ RABBITMQ_URL: this.urls[bakeryName], DATABASE_URL: this.#database.url },
      SERVICE_KEY: randomBytes(32).toString('base64url'),
    };
    const source = new DataSource({ type: 'postgres', url: this.#database.url, migrations });
    await source.initialize();
    await source.runMigrations();
    await source.destroy();
    this.running = await start(BakeryModule, { environment });
    await Promise.all([millName, intruderName, operatorName].map((name) => this.#open(name)));
  }

  /** As in a deployment. */
  async #deploy(retryDelays: readonly number[]): Promise<void> {
    this.#operatorModel = await connect(this.urls[operatorName]!);
    this.operator = await this.#operatorModel.createConfirmChannel();
    await assertGrantsStream(this.operator);
    const registered = [
      createDeclaration(bakeryName, [Weigh.name], [Ground.name, Whisper.name]),
      createDeclaration(millName, [Bake.name, HowMany.name]),
      createDeclaration(intruderName, [HowMany.name]),
    ];
    await declareTopology(this.operator, registered, operatorName, retryDelays);
    await publishGrants(this.operator, registered, operatorName);
  }

  async #open(name: string): Promise<void> {
    const connection = await new BrokerConnection({ operator: operatorName }).open(this.urls[name]!, name);
    this.connections[name] = connection;
    this.publishers[name] = new Publisher(connection);
    await this.publishers[name].open();
  }

  async stop(): Promise<void> {
    await this.running?.stop();
    await Promise.all(Object.values(this.connections).map((connection) => connection.close()));
    await this.#operatorModel?.close();
    await Promise.all([this.broker.drop(), this.#database.drop()]);
  }

  async readLoaves(): Promise<string[]> {
    const rows: { bag: string }[] = await this.running.app.get(DataSource).query('SELECT bag FROM loaf');
    return rows.map(({ bag }) => bag);
  }

  /** The number of loaves with this name; undefined: none. */
  createCounter(loaf: string): () => Promise<number | undefined> {
    return async () => (await this.readLoaves()).filter((one) => one === loaf).length || undefined;
  }

  takeDeadLetter(): Promise<GetMessage> {
    return eventually(
      async () => (await this.operator.get(queues.dead(bakeryName), { noAck: true })) || undefined,
    );
  }

  async countUnauthorized(kind: string): Promise<number> {
    const text = await (await fetch(`${this.running.url}/metrics`)).text();
    const line = text.split('\n').find((one) => one.startsWith(`unauthorized_messages_total{kind="${kind}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  }
}

export const createEvent = (bag: string) => {
  const event = { id: randomUUID(), name: Ground.name, source: millName, time: new Date(), data: { bag } };
  return {
    exchange: exchanges.events(millName),
    routingKey: Ground.name,
    ...encodeEvent(event, contextHeaders(undefined)),
  };
};

export const createCommand = (bag: string) => ({
  ...{ exchange: exchanges.requests(bakeryName), routingKey: Bake.name },
  ...encodeRequest(
    { pattern: Bake.name, data: { bag } },
    { messageId: randomUUID(), persistent: true, headers: contextHeaders(undefined) },
  ),
});

/** A command with a routing key that the sender may use. */
export const createDisguisedCommand = (bag: string) => ({ ...createCommand(bag), routingKey: HowMany.name });

export const createWhisper = (id: string) => {
  const event = { id, name: Whisper.name, source: intruderName, time: new Date(), data: {} };
  return {
    ...{ exchange: exchanges.events(Whisper.name), routingKey: Whisper.name },
    ...encodeEvent(event, contextHeaders(undefined)),
  };
};

/** Matches a dead letter that the service rejected, with unchanged properties of its sender. */
export const matchRejected = (sender: string | undefined, queue: string) => ({
  userId: sender,
  headers: { 'x-death': [expect.objectContaining({ reason: 'rejected', queue })] },
});
