import { Projector, StorageEncryption, UnitsOfWork } from '@jogakbo/consistency';
import {
  Ask,
  BrokerConnection,
  KnownGrants,
  noSpans,
  Publisher,
  RabbitClient,
  RabbitServer,
  Spans,
  VolatileQueueRecord,
  type QueueRecord,
} from '@jogakbo/messaging';
import { Logger, type Provider, type Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyServerOptions } from 'fastify';
import { DataSource } from 'typeorm';
import { Broker } from './broker.ts';
import { createSendCheck, assertAllHandled } from './bus.ts';
import { Database } from './database.ts';
import { GuardedCalls } from './guarded-calls.ts';
import { Readiness } from './health.ts';
import { createInstanceContext, type InstanceContext } from './instance-context.ts';
import { HttpClientSpans } from './http-client-spans.ts';
import { logHandled } from './log.ts';
import { Metrics } from './metrics.ts';
import { NestApp } from './nest-app.ts';
import { OwnAnnouncement } from './own-announcement.ts';
import { closeTogether, openParts, type Part } from './parts.ts';
import { listSettingsClasses, serviceOptions } from './service.ts';
import { ServiceSettings, type Following } from './service-settings.ts';
import { SplitCalls } from './split-calls.ts';

export interface StartOptions {
  /** By default that of the process. */
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

/**
 * Starts one instance of a service. It uses nothing of the process except standard output, so several can run in one.
 * @throws WrongSettings, and Error if a contract has no handler, both before anything is opened
 */
export async function start(module: Type, options: StartOptions = {}): Promise<RunningService> {
  const environment = options.environment ?? process.env;
  assertAllHandled(serviceOptions(module));
  const context = await createInstanceContext(module, environment, options.version);
  // Its parts log before the application exists, which sets it otherwise.
  Logger.overrideLogger(context.nestLog);
  return context.nestLog.runWith(() => startInstance(context, options));
}

async function startInstance(context: InstanceContext, options: StartOptions): Promise<RunningService> {
  const { app, parts } = createParts(context, options);
  const close = await openParts(parts);
  const { service, log } = context;
  log.info({ url: app.url }, `${service} is ready`);
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    log.info(`${service} is draining`);
    await close();
    log.info(`${service} has stopped`);
  };
  return { app: app.app, url: app.url, stop: () => (stopping ??= context.nestLog.runWith(stop)) };
}

/** Creates all parts of an instance, in the order in which they open. */
function createParts(context: InstanceContext, options: StartOptions): { app: NestApp; parts: Part[] } {
  const { settings, platform, declaration } = context;
  const broker = new Broker(context);
  const storage = new StorageEncryption(platform.serviceKey!);
  const readiness = new Readiness();
  const announce = () => announcement.announce();
  const database = declaration.migrations && new Database(context, broker, storage, announce);
  const queueRecord = database?.recreatedQueues ?? new VolatileQueueRecord(announce);
  const server = createServer(context, broker, queueRecord, database?.units);
  database?.attach(server);
  addConditions(readiness, context, broker, server);
  database?.addConditions(readiness);
  const app = new NestApp(context, {
    server,
    provided: listProvided(context, { broker, storage, readiness, database }),
    fastify: options.fastify ?? {},
    configure: options.configure ?? (() => {}),
  });
  const announcement: OwnAnnouncement = new OwnAnnouncement(context, broker, readiness, {
    url: () => app.url,
    ports: options.listeningPorts,
    queueRecord,
  });
  const following: Part = {
    open: () => settings.follow(toFollowing(context, broker)),
    close: () => settings.close(),
  };
  const parts: (Part | undefined)[] = [
    // Closes last: exports the spans of all that was finished.
    context.telemetry && { close: () => context.telemetry!.close() },
    context.telemetry && new HttpClientSpans(context.telemetry.spans, () => context.nestLog.isRunning()),
    broker,
    database,
    // Before the first call: a sensitive request needs the key of its receiver.
    { open: () => broker.instances.open(), close: () => broker.instances.close() },
    database?.outbox,
    app,
    following,
    // Opens before the announcement: a service is announced when it can work. Closes with the last entry.
    { open: app.messageServer.open },
    // Close after the last entry: timeouts and projections go on until the last message is handled.
    database?.loops,
    // The HTTP server opens first: the announcement contains its address. They close together: senders learn at once that
    // the instance drains, while its messages are finished. The HTTP server itself closes with `app`.
    closeTogether(app.httpServer, announcement, { close: app.messageServer.close }),
  ];
  return { app, parts: parts.filter((part) => part !== undefined) };
}

function createServer(
  { service, version, settings, platform, log, metrics, telemetry }: InstanceContext,
  { consuming, publisher, grants, decryption, instances, split }: Broker,
  queueRecord: QueueRecord,
  units: UnitsOfWork | undefined,
): RabbitServer {
  const retryDelays = platform.retryDelays?.split(',').map(Number);
  const server = new RabbitServer({
    service,
    connection: consuming,
    publisher,
    key: platform.serviceKey!,
    grants: () => grants.current,
    decryption,
    spans: telemetry?.spans,
    observe(handled) {
      metrics.observeMessage(handled);
      logHandled(log, handled);
    },
    concurrency: () => platform.concurrency,
    queueRecord,
    split: {
      version,
      shares: () => split.getShares(service),
      aliveSince: (time) => (instances.isRollCallOver ? instances.aliveSince(time) : undefined),
    },
    ...(retryDelays && { retryDelays }),
    ...(units && { middleware: units.middleware }),
  });
  settings.onChange(() => server.updateSplit());
  metrics.watchQueues(server);
  return server;
}

function addConditions(
  readiness: Readiness,
  { declaration }: InstanceContext,
  { client }: Broker,
  server: RabbitServer,
): void {
  readiness.add('broker', () => {
    if (!client.ready) return 'not reachable';
    return declaration.contract.contracts.size === 0 || server.ready
      ? undefined
      : 'a queue is not being consumed';
  });
}

const toFollowing = (
  { instance, log }: InstanceContext,
  { consuming, publisher, client }: Broker,
): Following => ({ connection: consuming, publisher, ask: client.ask, instance, log });

interface Injected {
  broker: Broker;
  storage: StorageEncryption;
  readiness: Readiness;
  database: Database | undefined;
}

/** What every class of a service can inject. */
function listProvided(
  { module, declaration, settings, metrics, telemetry }: InstanceContext,
  { broker, storage, readiness, database }: Injected,
): Provider[] {
  const assertDeclared = createSendCheck(declaration);
  const ask: Ask = async (wanted, ...rest) => {
    assertDeclared(wanted);
    return broker.client.ask(wanted, ...rest);
  };
  const provided: Provider[] = [
    { provide: Ask, useValue: ask },
    { provide: RabbitClient, useValue: broker.client },
    { provide: BrokerConnection, useValue: broker.consuming },
    { provide: Publisher, useValue: broker.publisher },
    { provide: KnownGrants, useValue: broker.grants },
    { provide: GuardedCalls, useValue: broker.guarded },
    { provide: SplitCalls, useValue: broker.split },
    { provide: Metrics, useValue: metrics },
    { provide: Spans, useValue: telemetry?.spans ?? noSpans },
    { provide: StorageEncryption, useValue: storage },
    { provide: Readiness, useValue: readiness },
    { provide: ServiceSettings, useValue: settings },
    ...listSettingsClasses(module).map((Class) => ({ provide: Class, useValue: settings.get(Class) })),
  ];
  if (!database) return provided;
  provided.push({ provide: DataSource, useValue: database.dataSource });
  provided.push({ provide: UnitsOfWork, useValue: database.units });
  if (database.projector) provided.push({ provide: Projector, useValue: database.projector });
  return provided;
}
