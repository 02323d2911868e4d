import type { Announcement } from '@jogakbo/contract';
import type { InstanceView } from '@jogakbo/contracts-registry';
import {
  BrokerConnection,
  Instances,
  KnownGrants,
  Publisher,
  findRefusedRoutes,
  RegistrationProxy,
  type RefusedSender,
} from '@jogakbo/messaging';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { computeHash } from './contract-hash.ts';
import { ContractHistory } from './contract-history.ts';

/** A live instance and the hash of its contract. */
export interface Entry {
  announcement: Announcement;
  hash: string;
}

export interface Change {
  kind: 'came' | 'changed' | 'went';
  entry: Entry;
  /** Milliseconds since 1970. */
  at: number;
}

/** A change without its contract, which is large and not needed by clients that poll for changes. */
export interface RememberedChange extends Omit<Change, 'entry'> {
  entry: { announcement: Omit<Announcement, 'contract'>; hash: string };
}

/** Milliseconds between checks for instances without a heartbeat: a crashed instance sends no message. */
const refreshIntervalMs = 200;
/** Milliseconds between updates of `last_seen` in the history. */
const recordIntervalMs = 60_000;
/** Milliseconds for which changes are kept for delta requests: three minutes, as in Eureka. */
const keepChangesMs = 180_000;
/** Maximum number of kept changes. A client that missed some detects it by the hash and fetches everything. */
const maxChanges = 500;

/** @returns undefined if its contract cannot be hashed */
function toEntry(announcement: Announcement): (Entry & { signature: string }) | undefined {
  try {
    const hash = computeHash(announcement.contract);
    const { state, url, version, startedAt, registration } = announcement;
    return {
      announcement,
      hash,
      signature: JSON.stringify([state, url, version, startedAt, registration, hash]),
    };
  } catch {
    return undefined;
  }
}

/**
 * Live instances: soft state from announcements, the same in every replica, so that any replica may fail. Only contracts
 * are stored.
 */
@Injectable()
export class Directory implements OnModuleInit, OnApplicationShutdown {
  readonly #instances: Instances;
  readonly #proxy: RegistrationProxy;
  readonly #listeners = new Set<(change: Change) => void>();
  #entries = new Map<string, Entry & { signature: string }>();
  #changes: RememberedChange[] = [];
  #timers: NodeJS.Timeout[] = [];

  constructor(
    connection: BrokerConnection,
    publisher: Publisher,
    private readonly history: ContractHistory,
    private readonly grants: KnownGrants,
  ) {
    this.#instances = new Instances(connection, publisher, 'registry', () => this.#update(), 'registrations');
    this.#proxy = new RegistrationProxy(connection, publisher, 'registry', this.#instances);
  }

  async onModuleInit(): Promise<void> {
    await this.#instances.open();
    await this.#proxy.open();
    this.#timers = [
      setInterval(() => this.#update(), refreshIntervalMs),
      setInterval(() => this.#record([...this.#entries.values()]), recordIntervalMs),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** Ordered by service and instance. */
  get entries(): Entry[] {
    this.#update();
    const name = ({ announcement }: Entry) => `${announcement.service} ${announcement.instance}`;
    return [...this.#entries.values()].sort((a, b) => (name(a) < name(b) ? -1 : 1));
  }

  /** The changes of the last three minutes, at most 500. */
  get changes(): readonly RememberedChange[] {
    this.#update();
    return this.#changes;
  }

  /** The announcements of the store's own instances. */
  get own(): Announcement[] {
    this.#update();
    return [...this.#entries.values()].flatMap(({ announcement }) =>
      announcement.upstream ? [] : announcement,
    );
  }

  /** The instances of an external app. */
  getForeign(app: string): Entry[] {
    return this.entries.filter(({ announcement: { service, upstream } }) => upstream && service === app);
  }

  get refusedSenders(): RefusedSender[] {
    return this.#instances.refusedSenders;
  }

  find(instance: string): Entry | undefined {
    this.#update();
    return this.#entries.get(instance);
  }

  /** Calls the listener with every change, until the returned function is called. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Announces an external instance, or its change. @throws BrokerUnavailable */
  async announce(announcement: Announcement): Promise<void> {
    await this.#proxy.announce(announcement);
    if (announcement.state !== 'draining') await this.#proxy.sendHeartbeat(announcement);
  }

  /** Forwards a heartbeat. */
  renew({ announcement }: Entry): Promise<void> {
    return this.#proxy.sendHeartbeat(announcement);
  }

  #update(): void {
    const now = Date.now();
    const before = new Map(this.#entries);
    this.#entries = new Map();
    const changes: Change[] = [];
    for (const announcement of this.#instances.present) {
      const { instance } = announcement;
      const known = before.get(instance);
      const entry = known?.announcement === announcement ? known : toEntry(announcement);
      // An invalid instance is skipped, and does not affect others.
      if (!entry) continue;
      before.delete(instance);
      this.#entries.set(instance, entry);
      const { signature } = entry;
      if (!known) changes.push({ kind: 'came', entry, at: now });
      else if (known.signature !== signature) changes.push({ kind: 'changed', entry, at: now });
    }
    for (const entry of before.values()) changes.push({ kind: 'went', entry, at: now });
    this.#publish(changes, now);
  }

  #publish(changes: Change[], now: number): void {
    const recent = this.#changes.filter(({ at }) => now - at < keepChangesMs);
    this.#changes = [...recent, ...changes.map(withoutContract)].slice(-maxChanges);
    for (const change of changes) for (const listener of this.#listeners) listener(change);
    this.#record(changes.filter(({ kind }) => kind !== 'went').map(({ entry }) => entry));
  }

  #record(entries: Entry[]): void {
    const byStart = [...entries].sort((a, b) =>
      a.announcement.startedAt.localeCompare(b.announcement.startedAt),
    );
    const contracts = new Map(
      byStart.map(({ announcement: { service, version, contract, upstream, startedAt }, hash }) => [
        `${service} ${version} ${hash}`,
        { service, version, hash, contract, startedAt, upstream: upstream ?? ('bus' as const) },
      ]),
    );
    if (contracts.size > 0) void this.history.record([...contracts.values()]);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#timers.forEach(clearInterval);
    await this.#proxy.close();
    await this.#instances.close();
  }

  toView({ announcement, hash }: Entry): InstanceView {
    const { service, version, instance, url, upstream, state, startedAt, load } = announcement;
    const refused = this.#findRefusedRoutes(announcement);
    return {
      service,
      version,
      instance,
      url,
      upstream: upstream ?? 'bus',
      state: state === 'up' ? 'up' : 'out',
      startedAt,
      ...(load !== undefined && { load }),
      contractHash: hash,
      ...(refused.length > 0 && { refusedRoutes: refused }),
    };
  }

  /** Empty for external services, whose routes are checked at registration. */
  #findRefusedRoutes({ service, upstream, contract }: Announcement): InstanceView['refusedRoutes'] & object {
    const { hasLoginPerService, current } = this.grants;
    if (!hasLoginPerService || upstream) return [];
    return contract.requests
      .flatMap((request) => findRefusedRoutes(service, request, current))
      .map(({ route, holder }) => ({ route, ...(holder !== undefined && { holder }) }));
  }
}

function withoutContract({ entry: { announcement, hash }, ...change }: Change): RememberedChange {
  const { contract: _, ...rest } = announcement;
  return { ...change, entry: { announcement: rest, hash } };
}
