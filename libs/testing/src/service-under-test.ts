import { randomBytes, randomUUIDv7 } from 'node:crypto';
import {
  type AnyCommand,
  type AnyEvent,
  type AnyRequest,
  type Body,
  type Input,
  type Language,
  undeterminedLanguage,
  type Message,
  type Reply,
} from '@jogakbo/contract';
import {
  KnownRecipients,
  BrokerConnection,
  childTraceparent,
  contextHeaders,
  encodeRequest,
  encryptFor,
  exchanges,
  Instances,
  Listener,
  Publisher,
  RabbitClient,
  type CallContext,
  type Caller,
} from '@jogakbo/messaging';
import {
  createDataSource,
  serviceOptions,
  start,
  type RunningService,
  type StartOptions,
} from '@jogakbo/service';
import type { Type } from '@nestjs/common';
import { DataSource } from 'typeorm';
import {
  createPrivateBroker,
  createPrivateDatabase,
  type Private,
  type PrivateBroker,
} from './backing-services.ts';
import { takeDeadLetters, type DeadLetter } from './dead-letters.ts';
import { eventually } from './eventually.ts';
import { publishEvent } from './publish-event.ts';
import { startStub, type RunningStub, type StubAnswers, type StubbedService } from './stubbed-service.ts';

export interface RequestOptions {
  /** The member on whose behalf the request is sent; by default none, as between services. */
  caller?: Caller;
  language?: Language;
  /** The client address of the request; by default none, as between services. */
  address?: string;
  idempotencyKey?: string;
  timeout?: number;
}

/** One service on a private vhost and a private database of a real broker and PostgreSQL. */
export class ServiceUnderTest {
  /** By message id: an event that the outbox publishes twice is recorded once, as in an inbox. */
  readonly #received = new Map<string, { name: string; data: unknown }>();
  readonly #stubs: RunningStub[] = [];

  private constructor(
    private readonly module: Type,
    private readonly options: StartOptions,
    readonly broker: PrivateBroker,
    private readonly databaseHandle: Private | undefined,
    private readonly connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly client: RabbitClient,
    private readonly instances: Instances,
    private readonly recipients: KnownRecipients,
    private running: RunningService,
  ) {}

  /**
   * Creates a vhost and a database, runs the service's migrations and starts it in this process.
   * @param environment settings of the service, by their environment names
   */
  static async start(
    module: Type,
    environment: NodeJS.ProcessEnv = {},
    options: Omit<StartOptions, 'environment'> = {},
  ): Promise<ServiceUnderTest> {
    const { migrations } = serviceOptions(module);
    const [broker, database] = await Promise.all([
      createPrivateBroker(),
      migrations && createPrivateDatabase(),
    ]);
    const startOptions: StartOptions = {
      ...options,
      environment: {
        LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'error',
        RETRY_DELAYS: '50,100,200',
        RABBITMQ_URL: broker.url,
        LOCAL_MODE: 'true',
        // The same for every instance and after a restart.
        SERVICE_KEY: randomBytes(32).toString('base64url'),
        ...(database && { DATABASE_URL: database.url }),
        ...environment,
      },
    };
    if (database) {
      const source = createDataSource(module, { databaseUrl: database.url, databasePool: 1 });
      await source.initialize();
      await source.runMigrations();
      await source.destroy();
    }
    const connection = await new BrokerConnection().open(broker.url, 'test');
    const publisher = new Publisher(connection);
    await publisher.open();
    const instances: Instances = new Instances(connection, publisher, 'test', (one) =>
      recipients.receiveAnnouncement(one),
    );
    const recipients = new KnownRecipients(() => instances.present);
    const client = new RabbitClient(connection, publisher, 'test', undefined, undefined, recipients);
    await Promise.all([client.connect(), instances.open()]);
    const running = await start(module, startOptions);
    const self = new ServiceUnderTest(
      module,
      startOptions,
      broker,
      database,
      connection,
      publisher,
      client,
      instances,
      recipients,
      running,
    );
    await self.#listen();
    await self.#getKey(serviceOptions(module).contract.name);
    return self;
  }

  /** Waits for the key of a service: it is part of its announcement. */
  #getKey(service: string) {
    return eventually(() => this.recipients.getKey(service));
  }

  async #listen(): Promise<void> {
    const listener = new Listener(this.connection, ({ pattern, data, messageId }) => {
      if (!this.#received.has(messageId)) this.#received.set(messageId, { name: pattern, data });
    });
    await listener.open(`${serviceOptions(this.module).contract.name}.#`);
  }

  get url(): string {
    return this.running.url;
  }

  /** The setting of the service with this environment name. */
  setting(name: string): string | undefined {
    return this.options.environment![name];
  }

  /** A provider of the service's module. */
  get<T>(token: Type<T>): T {
    return this.running.app.get(token, { strict: false });
  }

  /** @throws Rejection @throws RemoteFault */
  async ask<C extends AnyRequest>(contract: C, input: Input<C>, as: RequestOptions = {}): Promise<Reply<C>> {
    const response = await this.client.request(contract.name, input, {
      kind: contract.kind,
      sensitive: contract.sensitive,
      idempotencyKey: as.idempotencyKey,
      timeout: as.timeout ?? 20_000,
      context: {
        traceparent: childTraceparent(),
        language: as.language ?? undeterminedLanguage,
        ...(as.caller && { caller: as.caller }),
        ...(as.address && { address: as.address }),
      },
    });
    return contract.output.parse(response ?? undefined) as Reply<C>;
  }

  /** Sends a command without waiting for a reply, as a saga does. @param messageId to send the same command again */
  async send(
    message: Message<AnyCommand>,
    messageId: string = randomUUIDv7(),
    context?: CallContext,
  ): Promise<void> {
    const { contract } = message;
    const { name, service, sensitive } = contract;
    const data = sensitive ? await encryptFor(await this.#getKey(service), message.data, name) : message.data;
    const encoded = encodeRequest(
      { pattern: name, data },
      { messageId, persistent: true, mandatory: true, headers: contextHeaders(context) },
    );
    await this.publisher.publish({ exchange: exchanges.requests(name), routingKey: name, ...encoded });
  }

  /** Publishes an event in the name of its service. @param id to publish the same event again */
  async announce(message: Message<AnyEvent>, id: string = randomUUIDv7()): Promise<void> {
    await publishEvent(this.publisher, message, id);
  }

  /** Removes the dead letters of the service from their queue, and returns them. */
  takeDeadLetters(): Promise<DeadLetter[]> {
    return takeDeadLetters(this.connection, serviceOptions(this.module).contract.name);
  }

  /** All events of this kind that the service has published. */
  getPublishedEvents<C extends AnyEvent>(event: C): Body<C>[] {
    return [...this.#received.values()]
      .filter(({ name }) => name === event.name)
      .map(({ data }) => event.input.parse(data) as Body<C>);
  }

  /** Waits for a matching event of the service. */
  waitForEvent<C extends AnyEvent>(
    event: C,
    fits: (data: Body<C>) => boolean = () => true,
  ): Promise<Body<C>> {
    return eventually(() => this.getPublishedEvents(event).find(fits)) as Promise<Body<C>>;
  }

  /** Stubs another service: answers the given requests over the real broker and records them. */
  async stub(service: string, answers: StubAnswers): Promise<StubbedService> {
    const stub = await startStub({
      connection: this.connection,
      publisher: this.publisher,
      service,
      answers,
    });
    this.#stubs.push(stub);
    return stub;
  }

  /** The service's own database. */
  query<Row>(sql: string, parameters?: unknown[]): Promise<Row[]> {
    return this.running.app.get(DataSource).query(sql, parameters);
  }

  /** Starts a second instance of the service. The caller must stop it. */
  startAnother(): Promise<RunningService> {
    return start(this.module, this.options);
  }

  /**
   * Stops the service and starts it again, on the same broker and database.
   * @param changes new values of settings
   * @param whileStopped runs between stop and start
   */
  async restart(changes: NodeJS.ProcessEnv = {}, whileStopped?: () => Promise<void>): Promise<void> {
    await this.running.stop();
    await whileStopped?.();
    Object.assign(this.options.environment!, changes);
    this.running = await start(this.module, this.options);
  }

  async stop(): Promise<void> {
    await this.running.stop();
    await Promise.all(this.#stubs.map((stub) => stub.close()));
    await Promise.all([this.client.close(), this.instances.close()]);
    await this.connection.close();
    await Promise.all([this.broker.drop(), this.databaseHandle?.drop()]);
  }
}
