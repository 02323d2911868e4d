import type { Announcement } from '@jogakbo/contract';
import type { InstanceView } from '@jogakbo/contracts-registry';
import {
  BrokerConnection,
  Instances,
  KnownGrants,
  Publisher,
  refusedRoutes,
  RegistrationProxy,
  type RefusedSender,
} from '@jogakbo/messaging';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { computeHash } from './contract-hash.ts';
import { ContractHistory } from './contract-history.ts';

/** An instance that is there, and its contract's hash. */
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

/** A change as it is remembered: contracts are large, and clients that ask what changed need none. */
export interface RememberedChange extends Omit<Change, 'entry'> {
  entry: { announcement: Omit<Announcement, 'contract'>; hash: string };
}

/** How often to look for instances that fell silent, in milliseconds: they do not say that they are gone. */
const lookEvery = 200;
/** How often to write down that what is spoken is still spoken, in milliseconds. */
const noteEvery = 60_000;
/** How long changes are remembered for clients that fetch only those: Eureka's own three minutes. */
const rememberChanges = 180_000;
/** And how many: a client that missed some sees it by the hash, and fetches all. */
const mostChanges = 500;

/** @returns undefined where it cannot be described */
function toEntry(announcement: Announcement): (Entry & { sign: string }) | undefined {
  try {
    const hash = computeHash(announcement.contract);
    const { state, url, version, startedAt, registration } = announcement;
    return {
      ...{ announcement, hash },
      sign: JSON.stringify([state, url, version, startedAt, registration, hash]),
    };
  } catch {
    return undefined;
  }
}

/**
 * Who is there: soft state, made by listening, so that every replica knows the same and none is missed when it dies.
 * Only what is spoken is written down.
 */
@Injectable()
export class Directory implements OnModuleInit, OnApplicationShutdown {
  readonly #instances: Instances;
  readonly #spokesman: RegistrationProxy;
  readonly #listeners = new Set<(change: Change) => void>();
  #entries = new Map<string, Entry & { sign: string }>();
  #changes: RememberedChange[] = [];
  #timers: NodeJS.Timeout[] = [];

  constructor(
    connection: BrokerConnection,
    publisher: Publisher,
    private readonly history: ContractHistory,
    private readonly grants: KnownGrants,
  ) {
    this.#instances = new Instances(connection, publisher, 'registry', () => this.#look(), 'registrations');
    this.#spokesman = new RegistrationProxy(connection, publisher, 'registry', this.#instances);
  }

  async onModuleInit(): Promise<void> {
    await this.#instances.open();
    await this.#spokesman.open();
    this.#timers = [
      setInterval(() => this.#look(), lookEvery),
      setInterval(() => this.#note([...this.#entries.values()]), noteEvery),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** In the order of services and instances. */
  get entries(): Entry[] {
    this.#look();
    const name = ({ announcement }: Entry) => `${announcement.service} ${announcement.instance}`;
    return [...this.#entries.values()].sort((a, b) => (name(a) < name(b) ? -1 : 1));
  }

  /** What changed in the last three minutes, the last of it. */
  get changes(): readonly RememberedChange[] {
    this.#look();
    return this.#changes;
  }

  /** What our own instances announced. */
  get ours(): Announcement[] {
    this.#look();
    return [...this.#entries.values()].flatMap(({ announcement }) =>
      announcement.upstream ? [] : announcement,
    );
  }

  /** The instances of an app that is not on the bus. */
  foreign(app: string): Entry[] {
    return this.entries.filter(({ announcement: { service, upstream } }) => upstream && service === app);
  }

  get refusedSenders(): RefusedSender[] {
    return this.#instances.refusedSenders;
  }

  find(instance: string): Entry | undefined {
    this.#look();
    return this.#entries.get(instance);
  }

  /** Runs with every change until the returned function is called. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Says for an instance that is not on the bus that it is there, or as what. @throws BrokerUnavailable */
  async announce(announcement: Announcement): Promise<void> {
    await this.#spokesman.announce(announcement);
    if (announcement.state !== 'draining') await this.#spokesman.beat(announcement);
  }

  /** Passes a sign of life on. */
  renew({ announcement }: Entry): Promise<void> {
    return this.#spokesman.beat(announcement);
  }

  #look(): void {
    const now = Date.now();
    const before = new Map(this.#entries);
    this.#entries = new Map();
    const changes: Change[] = [];
    for (const announcement of this.#instances.present) {
      const { instance } = announcement;
      const known = before.get(instance);
      const entry = known?.announcement === announcement ? known : toEntry(announcement);
      // One that cannot be described is left out, and costs the others nothing.
      if (!entry) continue;
      before.delete(instance);
      this.#entries.set(instance, entry);
      const { sign } = entry;
      if (!known) changes.push({ kind: 'came', entry, at: now });
      else if (known.sign !== sign) changes.push({ kind: 'changed', entry, at: now });
    }
    for (const entry of before.values()) changes.push({ kind: 'went', entry, at: now });
    this.#tell(changes, now);
  }

  #tell(changes: Change[], now: number): void {
    const recent = this.#changes.filter(({ at }) => now - at < rememberChanges);
    this.#changes = [...recent, ...changes.map(withoutContract)].slice(-mostChanges);
    for (const change of changes) for (const listener of this.#listeners) listener(change);
    this.#note(changes.filter(({ kind }) => kind !== 'went').map(({ entry }) => entry));
  }

  #note(entries: Entry[]): void {
    const inOrder = [...entries].sort((a, b) =>
      a.announcement.startedAt.localeCompare(b.announcement.startedAt),
    );
    const spoken = new Map(
      inOrder.map(({ announcement: { service, version, contract, upstream, startedAt }, hash }) => [
        `${service} ${version} ${hash}`,
        { service, version, hash, contract, startedAt, upstream: upstream ?? ('bus' as const) },
      ]),
    );
    if (spoken.size > 0) void this.history.note([...spoken.values()]);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#timers.forEach(clearInterval);
    await this.#spokesman.close();
    await this.#instances.close();
  }

  view({ announcement, hash }: Entry): InstanceView {
    const { service, version, instance, url, upstream, state, startedAt, load } = announcement;
    const refused = this.#refusedRoutes(announcement);
    return {
      ...{ service, version, instance, url, upstream: upstream ?? 'bus' },
      ...{ state: state === 'up' ? 'up' : 'out', startedAt },
      ...(load !== undefined && { load }),
      contractHash: hash,
      ...(refused.length > 0 && { refusedRoutes: refused }),
    };
  }

  /** Those that are asked over HTTP register their routes here, where others are refused. */
  #refusedRoutes({ service, upstream, contract }: Announcement): InstanceView['refusedRoutes'] & object {
    const { enforced, current } = this.grants;
    if (!enforced || upstream) return [];
    return contract.requests
      .flatMap((request) => refusedRoutes(service, request, current))
      .map(({ route, holder }) => ({ route, ...(holder !== undefined && { holder }) }));
  }
}

function withoutContract({ entry: { announcement, hash }, ...change }: Change): RememberedChange {
  const { contract: _, ...rest } = announcement;
  return { ...change, entry: { announcement: rest, hash } };
}
