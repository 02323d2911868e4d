import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, maxMadeQueues, type Announcement } from '@jogakbo/contract';
import {
  MadeQueues,
  QueueRecovery,
  OutboxRelay,
  Projector,
  SagaRunner,
  StorageEncryption,
  UnitsOfWork,
} from '@jogakbo/consistency';
import {
  Announcer,
  Ask,
  BrokerConnection,
  DecryptionKeys,
  Instances,
  KnownGrants,
  KnownRecipients,
  Publisher,
  RabbitClient,
  RabbitServer,
  VolatileQueueRecord,
} from '@jogakbo/messaging';
import {
  Catch,
  Module,
  type ArgumentsHost,
  type DynamicModule,
  type Provider,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, BaseExceptionFilter, HttpAdapterHost, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TerminusModule } from '@nestjs/terminus';
import type { FastifyServerOptions } from 'fastify';
import { throwError } from 'rxjs';
import { DataSource } from 'typeorm';
import { createSendCheck } from './bus.ts';
import { HealthController, Readiness } from './health.ts';
import { createLog, logHandled, NestLog } from './log.ts';
import { GuardedCalls } from './guarded-calls.ts';
import { Metrics, MetricsController } from './metrics.ts';
import { PreparingClient } from './prepared-statements.ts';
import { serviceOptions } from './service.ts';
import { ServiceSettings } from './service-settings.ts';
import { SplitCalls } from './split-calls.ts';
import { DatabaseSettings, PlatformSettings, type AnySettings } from './settings.ts';

export interface StartOptions {
  environment?: NodeJS.ProcessEnv;
  version?: string;
  /** For a service with its own HTTP server, such as the gateway. */
  fastify?: FastifyServerOptions;
  /** Runs before the HTTP server listens. */
  configure?: (app: NestFastifyApplication) => void | Promise<void>;
  /** Returns the TCP ports on which the process listens, for its announcement. */
  listeningPorts?: () => number[];
}

/** A running service. */
export interface RunningService {
  app: NestFastifyApplication;
  /** Base URL of health and metrics. */
  url: string;
  /** Takes no new work, finishes the current work, and closes all connections. */
  stop(): Promise<void>;
}

/** Passes faults of message handlers to the transport. Nest answers faults of HTTP routes. */
@Catch()
class PassMessageFaults extends BaseExceptionFilter {
  override catch(exception: unknown, host: ArgumentsHost): unknown {
    if (host.getType() === 'rpc') return throwError(() => exception);
    return super.catch(exception, host);
  }
}

@Module({})
class Platform {}

/** Creates a data source that runs no migrations: the deploy step does. */
export function createDataSource(module: Type, { databaseUrl, databasePool }: DatabaseSettings): DataSource {
  const { contract, entities, migrations } = serviceOptions(module);
  return new DataSource({
    type: 'postgres',
    url: databaseUrl,
    applicationName: contract.name,
    entities: entities ?? [],
    migrations: migrations ?? [],
    migrationsTransactionMode: 'each',
    synchronize: false,
    poolSize: databasePool,
    connectTimeoutMS: 5_000,
    extra: { Client: PreparingClient, pipeline: true, idleTimeoutMillis: 30_000, keepAlive: true },
  });
}

/**
 * Starts a service: settings, log, database, broker, handlers, sagas, outbox relay, health, metrics, announcement.
 * @throws WrongSettings before anything is opened
 */
export async function start(module: Type, options: StartOptions = {}): Promise<RunningService> {
  const declared = serviceOptions(module);
  const { contract, sagas = [], projections = [], migrations, settings: own } = declared;
  const mustDeclare = createSendCheck(declared);
  const hasDatabase = migrations !== undefined;
  const classes: AnySettings[] = [PlatformSettings];
  if (hasDatabase) classes.push(DatabaseSettings);
  if (own) classes.push(own);
  const settings = await ServiceSettings.open(contract.name, classes, options.environment ?? process.env);
  const loaded = settings.instances;
  const platform = loaded[0] as PlatformSettings;

  const service = contract.name;
  const instance = `${service}-${randomUUIDv7().slice(-12)}`;
  const version = options.version ?? process.env['npm_package_version'] ?? '0.1.0';
  const log = createLog({ service, instance, level: platform.logLevel });
  settings.onChange(() => (log.level = platform.logLevel));
  if (platform.plaintextNetwork === 'allow')
    log.warn('PLAINTEXT_NETWORK=allow: the broker and the database may be reached without TLS');
  const retryDelays = platform.retryDelays?.split(',').map(Number);

  const metrics = new Metrics(service, version);
  const identity = { operator: platform.brokerOperator };
  const consuming = await new BrokerConnection(identity).open(platform.rabbitmqUrl, `${instance} consumes`);
  consuming.onUnauthorizedSender(metrics.countUnauthorizedSender);
  const grants = await new KnownGrants(consuming).open();
  // The broker throttles a connection that publishes too fast. Consumers are unaffected on the other one.
  const publishing = await new BrokerConnection(identity).open(platform.rabbitmqUrl, `${instance} publishes`);
  const publisher = new Publisher(publishing);
  await publisher.open();
  const guarded = new GuardedCalls(platform, metrics);
  const split = new SplitCalls(platform, metrics);
  const decryption = new DecryptionKeys(platform.serviceKey!);
  const recipients = new KnownRecipients(
    () => instances.present,
    () => (grants.enforced ? grants.current : undefined),
    [[service, decryption.publicKeys[0]]],
  );
  const client = new RabbitClient(consuming, publisher, service, guarded.guard, split, recipients);
  await client.connect();

  const readiness = new Readiness();
  let relay: OutboxRelay | undefined;
  let units: UnitsOfWork | undefined;
  let sagaRunner: SagaRunner | undefined;
  let projector: Projector | undefined;
  let dataSource: DataSource | undefined;
  let queueRecovery: QueueRecovery | undefined;
  const storage = new StorageEncryption(platform.serviceKey!);
  if (hasDatabase) {
    const database = loaded[1] as DatabaseSettings;
    dataSource = await createDataSource(module, database).initialize();
    const { databaseUrl } = database;
    relay = new OutboxRelay({ service, databaseUrl, publisher, encryption: storage, recipients });
    units = new UnitsOfWork({
      service,
      dataSource,
      encryption: storage,
      dispatch: (...args) => server.dispatch(...args),
      mustDeclare,
      wake: relay.wake,
    });
    queueRecovery = new QueueRecovery(dataSource, relay.wake);
    sagaRunner = new SagaRunner(sagas, dataSource, units, storage);
    if (projections.length > 0) {
      projector = new Projector(projections, dataSource, databaseUrl);
      await projector.prepare();
    }
    metrics.watchOutbox(dataSource);
  }
  const announceMade = () => {
    if (url) void announcer.announce();
  };
  const queueRecord = dataSource
    ? new MadeQueues(dataSource, announceMade)
    : new VolatileQueueRecord(announceMade);
  const server: RabbitServer = new RabbitServer({
    service,
    connection: consuming,
    publisher,
    key: platform.serviceKey!,
    grants: () => grants.current,
    decryption,
    observe(handled) {
      metrics.observeMessage(handled);
      logHandled(log, handled);
    },
    concurrency: () => platform.concurrency,
    queueRecord,
    split: {
      version,
      shares: () => split.getShares(service),
      aliveSince: (time) => (instances.isComplete ? instances.aliveSince(time) : undefined),
    },
    ...(retryDelays && { retryDelays }),
    ...(units && { middleware: units.middleware }),
  });
  const instances = new Instances(consuming, publisher, service, (announcement) => {
    recipients.receiveAnnouncement(announcement);
    queueRecovery?.receiveAnnouncement({
      ...announcement,
      madeQueues: grants.filterMadeQueues(announcement),
    });
  });
  settings.onChange(() => server.updateSplit());
  sagaRunner?.attach(server);
  projector?.attach(server);

  let state: Announcement['state'] = 'up';
  addConditions();

  const ask: Ask = async (wanted, ...rest) => {
    mustDeclare(wanted);
    return client.ask(wanted, ...rest);
  };
  const provided: Provider[] = [
    { provide: Ask, useValue: ask },
    { provide: RabbitClient, useValue: client },
    { provide: BrokerConnection, useValue: consuming },
    { provide: Publisher, useValue: publisher },
    { provide: KnownGrants, useValue: grants },
    { provide: Metrics, useValue: metrics },
    { provide: GuardedCalls, useValue: guarded },
    { provide: SplitCalls, useValue: split },
    { provide: StorageEncryption, useValue: storage },
    { provide: Readiness, useValue: readiness },
    { provide: ServiceSettings, useValue: settings },
    ...classes.map((provide, index) => ({ provide, useValue: loaded[index] })),
    ...(dataSource ? [{ provide: DataSource, useValue: dataSource }] : []),
    ...(units ? [{ provide: UnitsOfWork, useValue: units }] : []),
    ...(projector ? [{ provide: Projector, useValue: projector }] : []),
  ];
  const root: DynamicModule = {
    module: Platform,
    global: true,
    imports: [TerminusModule.forRoot({ logger: false }), module],
    controllers: [HealthController, MetricsController],
    providers: [
      ...provided,
      {
        provide: APP_FILTER,
        useFactory: ({ httpAdapter }: HttpAdapterHost) => new PassMessageFaults(httpAdapter),
        inject: [HttpAdapterHost],
      },
    ],
    exports: provided.map((provider) => (provider as { provide: Type }).provide),
  };
  const startedAt = new Date().toISOString();
  const described = describe(contract);
  let url = '';
  const announcer = new Announcer(consuming, publisher, () => ({
    service,
    version,
    instance,
    state,
    url,
    startedAt,
    interval: platform.announceEvery,
    openCircuits: guarded.openCircuits,
    ...(options.listeningPorts && { ports: options.listeningPorts() }),
    ...(readiness.simulated.length > 0 && { simulated: readiness.simulated }),
    madeQueues: queueRecord.list().slice(-maxMadeQueues),
    encryptionKeys: [...decryption.publicKeys],
    contract: described,
  }));
  // Before the first call: a sensitive request needs the key of its receiver.
  await instances.open();
  const app = await NestFactory.create<NestFastifyApplication>(
    root,
    new FastifyAdapter(options.fastify ?? {}),
    {
      logger: new NestLog(log),
      abortOnError: false,
    },
  );
  try {
    await open();
  } catch (error) {
    // The process may live on, as in tests: close connections and loops.
    await Promise.race([stop().catch(() => undefined), sleep(5_000, undefined, { ref: false })]);
    throw error;
  }

  let stopping: Promise<void> | undefined;
  return { app, url, stop: () => (stopping ??= stop()) };

  async function open(): Promise<void> {
    app.connectMicroservice({ strategy: server }, { inheritAppConfig: true });
    await options.configure?.(app);
    await app.init();
    await app.startAllMicroservices();
    mustHandleAll();
    relay?.start();
    sagaRunner?.start();
    projector?.start();
    const { port, host, reusePort } = platform;
    await app.listen({ port, host, ...(reusePort && { reusePort }) });
    url = (await app.getUrl()).replace('[::1]', '127.0.0.1');

    await announcer.open();
    await settings.follow({ connection: consuming, publisher, ask: client.ask, instance, log });
    log.info({ url }, `${service} is ready`);
  }

  function addConditions(): void {
    readiness.add('state', () => (state === 'up' ? undefined : 'draining'));
    readiness.add('broker', () => {
      if (!client.ready) return 'not reachable';
      return contract.contracts.size === 0 || server.ready ? undefined : 'a queue is not being consumed';
    });
    if (!dataSource) return;
    const source = dataSource;
    let migrated = false;
    readiness.add('database', async () => void (await source.query('SELECT 1')));
    readiness.add('migrations', async () => {
      migrated ||= !(await source.showMigrations());
      return migrated ? undefined : 'some migrations have not run';
    });
  }

  /** Fails at start if a contract has no handler. */
  function mustHandleAll(): void {
    const handled = new Set(server.handled);
    const missing = [...contract.contracts.values()].filter(
      (one) => one.kind !== 'event' && !handled.has(one),
    );
    if (missing.length > 0) {
      throw new Error(`no handler for ${missing.map(({ name }) => name).join(', ')}: add it to @Service`);
    }
  }

  async function stop(): Promise<void> {
    log.info(`${service} is draining`);
    state = 'draining';
    // Without an address it has not been announced.
    const announced = url ? announcer.announce() : Promise.resolve();
    await Promise.all([announced.then(() => announcer.close()), server.close()]);
    await Promise.all([instances.close(), settings.close(), grants.close()]);
    await queueRecovery?.stop();
    await sagaRunner?.stop();
    await projector?.stop();
    await app.close();
    await relay?.stop();
    await client.close();
    await publisher.close();
    await Promise.all([consuming.close(), publishing.close(), dataSource?.destroy()]);
    log.info(`${service} has stopped`);
  }
}
