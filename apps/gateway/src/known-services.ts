import { hash } from 'node:crypto';
import type { Announcement, ServiceDescription } from '@jogakbo/contract';
import { BrokerConnection, Instances, KnownGrants, Publisher } from '@jogakbo/messaging';
import { Metrics } from '@jogakbo/service';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { grantedOnly } from './granted-routes.ts';
import { assertionKeysPath } from './member-assertion.ts';
import { RouteTable, type Route } from './routes.ts';
import { whyNotServable } from './servable.ts';
import { GatewaySettings } from './settings.ts';

/** Routes that the gateway answers itself: nobody can announce them. */
const ownRoutes = [
  'GET /health/live',
  'GET /health/ready',
  'GET /metrics',
  'GET /openapi.json',
  'GET /asyncapi.json',
  'GET /docs',
  `GET ${assertionKeysPath}`,
];

/** How often to look for instances that fell silent, in milliseconds: they do not say that they are gone. */
const lookEvery = 250;
/** However much is announced, the table of routes is made once in this time, in milliseconds: after so many at once. */
const tableEvery = 100;
const tablesAtOnce = 10;

/**
 * Which services there are, and what each speaks, as far as one can hear. A service whose instances are all away keeps
 * its routes: its callers are told to come again, not that there is nothing.
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
  #heard = '';
  #table = new RouteTable([], ownRoutes);
  #timer: NodeJS.Timeout | undefined;
  #making: NodeJS.Timeout | undefined;
  #nextTableAt = -Infinity;
  #learnedAt = Infinity;

  constructor(
    private readonly connection: BrokerConnection,
    publisher: Publisher,
    private readonly settings: GatewaySettings,
    private readonly grants: KnownGrants,
    metrics: Metrics,
  ) {
    const hear = (announcement: Announcement): void => {
      if (announcement.upstream && announcement.state === 'draining') this.#forgetForeign(announcement);
      this.#look();
    };
    this.#instances = new Instances(connection, publisher, 'gateway', hear, 'routes');
    grants.onChange(() => {
      this.#heard = '';
      this.#look();
    });
    this.#refused = new Gauge({
      name: 'http_routes_refused',
      help: 'Routes that are announced now and not taken.',
      registers: [metrics.registry],
    });
  }

  async onModuleInit(): Promise<void> {
    await this.#instances.open();
    this.#learnedAt = performance.now() + this.settings.learnFor * 1_000;
    this.#timer = setInterval(() => this.#look(), lookEvery);
    this.#timer.unref();
  }

  get table(): RouteTable {
    return this.#table;
  }

  /** What is or was announced of those that are on the bus, in the order of names, without routes that are not theirs. */
  get contracts(): ServiceDescription[] {
    return this.#granted;
  }

  /**
   * What is or was announced of those that are asked over HTTP. Who is there comes before who is away, and then who was
   * there first: nobody takes another's route. A name of one that is on the bus is not for others.
   */
  get foreignContracts(): ServiceDescription[] {
    const since = (service: string) => this.#upstreams.get(service)?.at(-1)?.startedAt ?? 'away';
    return [...this.#foreign.values()]
      .filter(({ service }) => !this.#contracts.has(service) && !this.grants.current.isService(service))
      .sort((a, b) => since(a.service).localeCompare(since(b.service)));
  }

  /** True where at least one instance of the service takes work. */
  serves({ service, upstream }: Pick<Route, 'service' | 'upstream'>): boolean {
    return upstream === 'bus' ? this.#onBus.has(service) : this.getUpstreams(service).length > 0;
  }

  /** The instances of a service that is asked over HTTP, those that take work now. */
  getUpstreams(service: string): readonly Announcement[] {
    return this.#upstreams.get(service) ?? [];
  }

  /** The services that are asked over HTTP and have instances that take work now. */
  get upstreamServices(): ReadonlySet<string> {
    return new Set(this.#upstreams.keys());
  }

  /** Every instance that is on the bus, this gateway included. */
  get ownInstances(): Announcement[] {
    return this.#instances.present.filter(({ upstream }) => !upstream);
  }

  /** What services only simulate, because they run in local mode. */
  get simulated(): readonly string[] {
    return this.#simulated;
  }

  /** True while a service that is only starting again, like this gateway, may not have been heard of yet. */
  get learning(): boolean {
    return performance.now() < this.#learnedAt;
  }

  /** Runs with every new table, the present one included. */
  onTable(listener: (table: RouteTable) => void): void {
    this.#listeners.push(listener);
    listener(this.#table);
  }

  /** A service that cancelled its last registration is gone; one that fell silent keeps its routes, as it may return. */
  #forgetForeign({ service }: Announcement): void {
    if (this.#instances.present.some((one) => one.upstream && one.service === service)) return;
    if (this.#foreign.delete(service)) this.#heard = 'changed';
  }

  #look(): void {
    const alive = this.#instances.alive;
    const heard = alive.map(getSignature).join();
    if (heard === this.#heard) return;
    this.#heard = heard;
    const [foreign, onBus] = [
      alive.filter(({ upstream }) => upstream),
      alive.filter(({ upstream }) => !upstream),
    ];
    this.#onBus = Map.groupBy(onBus, ({ service }) => service);
    this.#simulated = [...new Set(onBus.flatMap(({ simulated = [] }) => simulated))].sort();
    this.#upstreams = Map.groupBy(foreign, ({ service }) => service);
    const now = performance.now();
    if (now >= this.#nextTableAt) return this.#makeTable();
    this.#making ??= setTimeout(() => this.#makeTable(), this.#nextTableAt - now).unref();
  }

  /** Never throws: what cannot be taken in is tried again. */
  #makeTable(): void {
    clearTimeout(this.#making);
    this.#making = undefined;
    const now = performance.now();
    this.#nextTableAt = Math.max(this.#nextTableAt, now - tablesAtOnce * tableEvery) + tableEvery;
    try {
      this.#takeIn();
    } catch (error) {
      this.#heard = ''; // looked at again
      this.#log.error(`what is announced cannot be served: ${(error as Error).message}`);
    }
  }

  #takeIn(): void {
    for (const [service, some] of this.#onBus) this.#keep(this.#contracts, service, some);
    for (const [service, some] of this.#upstreams) this.#keep(this.#foreign, service, some);
    const refused: string[] = [];
    const { enforced, current } = this.grants;
    this.#granted = [...this.#contracts.values()]
      .sort((a, b) => (a.service < b.service ? -1 : 1))
      .map((one) =>
        enforced ? grantedOnly(one, current, this.connection.login, (what) => refused.push(what)) : one,
      );
    this.#table = new RouteTable(this.#granted, ownRoutes, this.foreignContracts, current.routes);
    refused.push(...this.#table.refused);
    for (const what of refused) this.#log.warn(`a route is not taken: ${what}`);
    this.#refused.set(refused.length);
    for (const listener of this.#listeners) listener(this.#table);
  }

  /** What cannot be served is left out: its service keeps what others of its instances speak, or what it had. */
  #keep(contracts: Map<string, ServiceDescription>, service: string, some: readonly Announcement[]): void {
    const servable = some.filter(({ instance, contract }) => {
      const why = whyNotServable(contract);
      if (why !== undefined) this.#log.warn(`the contract of ${instance} is not taken: ${why}`);
      return why === undefined;
    });
    if (servable.length > 0) contracts.set(service, together(servable.map(({ contract }) => contract)));
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#making);
    await this.#instances.close();
  }
}

const signs = new WeakMap<Announcement, string>();

/** Changes when something does that matters here. What is not on the bus may register again as something else. */
function getSignature(announcement: Announcement): string {
  const { instance, version, upstream, url, networks, contract } = announcement;
  if (!upstream) return `${instance} ${version}`;
  let sign = signs.get(announcement);
  if (!sign) {
    // A digest: all signs are joined and compared several times in a second.
    const text = JSON.stringify([version, url, networks, contract]);
    signs.set(announcement, (sign = `${instance} ${hash('sha1', text, 'base64url')}`));
  }
  return sign;
}

/** While two versions of a service run, what only the older one speaks is still spoken. @param spoken newest first */
function together(spoken: ServiceDescription[]): ServiceDescription {
  const [newest, ...older] = spoken as [ServiceDescription, ...ServiceDescription[]];
  const requests = new Map(newest.requests.map((request) => [request.name, request]));
  for (const { requests: more } of older) {
    for (const request of more) if (!requests.has(request.name)) requests.set(request.name, request);
  }
  return { ...newest, requests: [...requests.values()] };
}
