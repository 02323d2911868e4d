import { hash } from 'node:crypto';
import type { Announcement, ServiceDescription } from '@jogakbo/contract';
import { BrokerConnection, Instances, KnownGrants, Publisher } from '@jogakbo/messaging';
import { Metrics } from '@jogakbo/service';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { scriptPath, stylePath } from './docs-assets.ts';
import { filterGrantedRoutes } from './granted-routes.ts';
import { assertionKeysPath } from './member-assertion.ts';
import { RouteTable, type Route } from './routes.ts';
import { findUnservableReason } from './servable.ts';
import { GatewaySettings } from './settings.ts';

/** Routes that the gateway answers itself. Services cannot announce them. */
const ownRoutes = [
  'GET /health/live',
  'GET /health/ready',
  'GET /metrics',
  'GET /openapi.json',
  'GET /asyncapi.json',
  'GET /docs',
  `GET ${stylePath}`,
  `GET ${scriptPath}`,
  `GET ${assertionKeysPath}`,
];

/** Milliseconds between checks for instances without a heartbeat: a crashed instance sends no message. */
const refreshIntervalMs = 250;
/** Rate limit for building the route table: a burst, then one table per interval (milliseconds). */
const tableIntervalMs = 100;
const tableBurst = 10;

/**
 * The services and their contracts, as announced on the bus. A service without instances keeps its routes, so that its
 * clients get 503 and not 404.
 */
@Injectable()
export class KnownServices implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('gateway');
  readonly #instances: Instances;
  readonly #contracts = new Map<string, ServiceDescription>();
  readonly #foreign = new Map<string, ServiceDescription>();
  #onBus = new Map<string, Announcement[]>();
  #upstreams = new Map<string, Announcement[]>();
  readonly #listeners: ((table: RouteTable) => void)[] = [];
  readonly #refused: Gauge;
  #granted: ServiceDescription[] = [];
  #simulated: string[] = [];
  #signature = '';
  #table = new RouteTable([], ownRoutes);
  #timer: NodeJS.Timeout | undefined;
  #pendingUpdate: NodeJS.Timeout | undefined;
  #nextTableAt = -Infinity;
  #learnedAt = Infinity;

  constructor(
    private readonly connection: BrokerConnection,
    publisher: Publisher,
    private readonly settings: GatewaySettings,
    private readonly grants: KnownGrants,
    metrics: Metrics,
  ) {
    const onAnnouncement = (announcement: Announcement): void => {
      if (announcement.upstream && announcement.state === 'draining') this.#removeForeign(announcement);
      this.#refresh();
    };
    this.#instances = new Instances(connection, publisher, 'gateway', onAnnouncement, 'routes');
    grants.onChange(() => {
      this.#signature = '';
      this.#refresh();
    });
    this.#refused = new Gauge({
      name: 'http_routes_refused',
      help: 'Announced routes that are rejected.',
      registers: [metrics.registry],
    });
  }

  async onModuleInit(): Promise<void> {
    await this.#instances.open();
    this.#learnedAt = performance.now() + this.settings.learnFor * 1_000;
    this.#timer = setInterval(() => this.#refresh(), refreshIntervalMs);
    this.#timer.unref();
  }

  get table(): RouteTable {
    return this.#table;
  }

  /** Current or last contracts of services on the bus, by name, without routes that they may not serve. */
  get contracts(): ServiceDescription[] {
    return this.#granted;
  }

  /**
   * Current or last contracts of external services, except those with the name of a service on the bus. Services with
   * instances come first, then the earlier start, so that no service takes over a route of another.
   */
  get externalContracts(): ServiceDescription[] {
    const since = (service: string) => this.#upstreams.get(service)?.at(-1)?.startedAt ?? 'away';
    return [...this.#foreign.values()]
      .filter(({ service }) => !this.#contracts.has(service) && !this.grants.current.isService(service))
      .sort((a, b) => since(a.service).localeCompare(since(b.service)));
  }

  /** Whether at least one instance of the service accepts requests. */
  serves({ service, upstream }: Pick<Route, 'service' | 'upstream'>): boolean {
    return upstream === 'bus' ? this.#onBus.has(service) : this.getUpstreams(service).length > 0;
  }

  /** The instances of an external service that accept requests. */
  getUpstreams(service: string): readonly Announcement[] {
    return this.#upstreams.get(service) ?? [];
  }

  /** External services with instances that accept requests. */
  get upstreamServices(): ReadonlySet<string> {
    return new Set(this.#upstreams.keys());
  }

  /** All instances on the bus, including this gateway. */
  get ownInstances(): Announcement[] {
    return this.#instances.present.filter(({ upstream }) => !upstream);
  }

  /** Dependencies that services simulate because they run in local mode. */
  get simulated(): readonly string[] {
    return this.#simulated;
  }

  /** True for `LEARN_FOR` seconds after start, while services that are also starting may not have announced themselves. */
  get isLearning(): boolean {
    return performance.now() < this.#learnedAt;
  }

  /** Calls the listener with the current table and every new one. */
  onTable(listener: (table: RouteTable) => void): void {
    this.#listeners.push(listener);
    listener(this.#table);
  }

  /** Removes a service that cancelled its last registration. One without heartbeats keeps its routes, as it may return. */
  #removeForeign({ service }: Announcement): void {
    if (this.#instances.present.some((one) => one.upstream && one.service === service)) return;
    if (this.#foreign.delete(service)) this.#signature = 'changed';
  }

  #refresh(): void {
    const alive = this.#instances.alive;
    const signature = alive.map(getSignature).join();
    if (signature === this.#signature) return;
    this.#signature = signature;
    const [foreign, onBus] = [
      alive.filter(({ upstream }) => upstream),
      alive.filter(({ upstream }) => !upstream),
    ];
    this.#onBus = Map.groupBy(onBus, ({ service }) => service);
    this.#simulated = [...new Set(onBus.flatMap(({ simulated = [] }) => simulated))].sort();
    this.#upstreams = Map.groupBy(foreign, ({ service }) => service);
    const now = performance.now();
    if (now >= this.#nextTableAt) return this.#tryUpdateTable();
    this.#pendingUpdate ??= setTimeout(() => this.#tryUpdateTable(), this.#nextTableAt - now).unref();
  }

  /** Never throws: a failure is retried at the next refresh. */
  #tryUpdateTable(): void {
    clearTimeout(this.#pendingUpdate);
    this.#pendingUpdate = undefined;
    const now = performance.now();
    this.#nextTableAt = Math.max(this.#nextTableAt, now - tableBurst * tableIntervalMs) + tableIntervalMs;
    try {
      this.#updateTable();
    } catch (error) {
      this.#signature = ''; // forces a retry
      this.#log.error(`cannot build the route table from the announcements: ${(error as Error).message}`);
    }
  }

  #updateTable(): void {
    for (const [service, some] of this.#onBus) this.#store(this.#contracts, service, some);
    for (const [service, some] of this.#upstreams) this.#store(this.#foreign, service, some);
    const refused: string[] = [];
    const { hasLoginPerService, current } = this.grants;
    this.#granted = [...this.#contracts.values()]
      .sort((a, b) => (a.service < b.service ? -1 : 1))
      .map((one) =>
        hasLoginPerService
          ? filterGrantedRoutes(one, current, this.connection.login, (reason) => refused.push(reason))
          : one,
      );
    this.#table = new RouteTable(this.#granted, ownRoutes, this.externalContracts, current.routes);
    refused.push(...this.#table.refused);
    for (const reason of refused) this.#log.warn(`route rejected: ${reason}`);
    this.#refused.set(refused.length);
    for (const listener of this.#listeners) listener(this.#table);
  }

  /** Skips contracts that cannot be served. Their service keeps those of other instances, or its last one. */
  #store(contracts: Map<string, ServiceDescription>, service: string, some: readonly Announcement[]): void {
    const servable = some.filter(({ instance, contract }) => {
      const reason = findUnservableReason(contract);
      if (reason !== undefined) this.#log.warn(`contract of ${instance} rejected: ${reason}`);
      return reason === undefined;
    });
    if (servable.length > 0) contracts.set(service, mergeContracts(servable.map(({ contract }) => contract)));
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#pendingUpdate);
    await this.#instances.close();
  }
}

const signatures = new WeakMap<Announcement, string>();

/** Changes with the routes or addresses of an instance. An external instance may register again with other values. */
function getSignature(announcement: Announcement): string {
  const { instance, version, upstream, url, networks, contract } = announcement;
  if (!upstream) return `${instance} ${version}`;
  let signature = signatures.get(announcement);
  if (!signature) {
    // A digest, because all signatures are joined and compared several times per second.
    const text = JSON.stringify([version, url, networks, contract]);
    signatures.set(announcement, (signature = `${instance} ${hash('sha1', text, 'base64url')}`));
  }
  return signature;
}

/** Adds requests that only older running versions support. @param contracts newest first */
function mergeContracts(contracts: ServiceDescription[]): ServiceDescription {
  const [newest, ...older] = contracts as [ServiceDescription, ...ServiceDescription[]];
  const requests = new Map(newest.requests.map((request) => [request.name, request]));
  for (const { requests: more } of older) {
    for (const request of more) if (!requests.has(request.name)) requests.set(request.name, request);
  }
  return { ...newest, requests: [...requests.values()] };
}
