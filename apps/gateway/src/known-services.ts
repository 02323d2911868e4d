import type { ServiceDescription } from '@jogakbo/contract';
import { BrokerConnection, Instances, Publisher } from '@jogakbo/messaging';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { RouteTable } from './routes.ts';
import { GatewaySettings } from './settings.ts';

/** Routes that the gateway answers itself: nobody can announce them. */
const ownRoutes = [
  'GET /health/live',
  'GET /health/ready',
  'GET /metrics',
  'GET /openapi.json',
  'GET /asyncapi.json',
  'GET /docs',
];

/** How often to look for instances that fell silent, in milliseconds: they do not say that they are gone. */
const lookEvery = 250;

/**
 * Which services there are, and what each speaks, as far as one can hear. A service whose instances are all away keeps
 * its routes: its callers are told to come again, not that there is nothing.
 */
@Injectable()
export class KnownServices implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('gateway');
  readonly #instances: Instances;
  readonly #contracts = new Map<string, ServiceDescription>();
  readonly #listeners: ((table: RouteTable) => void)[] = [];
  #alive = new Set<string>();
  #heard = '';
  #table = new RouteTable([], ownRoutes);
  #timer: NodeJS.Timeout | undefined;
  #learnedAt = Infinity;

  constructor(
    connection: BrokerConnection,
    publisher: Publisher,
    private readonly settings: GatewaySettings,
  ) {
    this.#instances = new Instances(connection, publisher, 'gateway', () => this.#look());
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

  /** What is or was announced, in the order of names. */
  get contracts(): ServiceDescription[] {
    return [...this.#contracts.values()].sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  /** True where at least one instance of the service takes work. */
  serves(service: string): boolean {
    return this.#alive.has(service);
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

  #look(): void {
    const alive = this.#instances.alive;
    const heard = alive.map(({ instance, version }) => `${instance} ${version}`).join();
    if (heard === this.#heard) return;
    this.#heard = heard;
    this.#alive = new Set(alive.map(({ service }) => service));
    for (const service of this.#alive) {
      const spoken = alive.filter((one) => one.service === service).map(({ contract }) => contract);
      this.#contracts.set(service, together(spoken));
    }
    this.#table = new RouteTable(this.contracts, ownRoutes);
    for (const refused of this.#table.refused) this.#log.warn(`a route is not taken: ${refused}`);
    for (const listener of this.#listeners) listener(this.#table);
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#instances.close();
  }
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
