import { createHash } from 'node:crypto';
import { Announcement, Heartbeat } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { publishSoftState } from './soft-state.ts';
import { instanceEvents, registryService } from './topology.ts';
import type { Incoming } from './decoding.ts';

const { announced, heartbeat, rollCall } = instanceEvents;

/** A lease lasts three intervals, which are in seconds. */
const getLeaseMs = ({ interval }: Announcement): number => interval * 3_000;
/** Limits per service, for instances and for distinct contracts: real services stay far below. */
const maxInstances = 100;
const maxContracts = 8;
/** A roll call is answered within so many milliseconds. */
const rollCallMs = 1_000;

/**
 * Data that is kept of HTTP upstream instances: none; what a gateway needs to call them; or also their registration, which
 * a registry needs to take over from another registry instance.
 */
export type UpstreamsKept = 'none' | 'routes' | 'registrations';
/** Only names of instances of outside services contain a colon: see `Announcement`. */
const isUpstreamName = (instance: unknown): boolean => typeof instance === 'string' && instance.includes(':');

/** A login that sent forbidden announcements: how often, and about which service or instance the last time. */
export interface RefusedSender {
  sender: string;
  about: string;
  count: number;
  lastAt: string;
}

interface KnownInstance {
  announcement: Announcement;
  /** Hash of the contract. */
  hash: string;
  /** When the lease ends, on the monotonic clock. */
  until: number;
}

const computeHash = ({ contract }: Announcement): string =>
  createHash('sha256').update(JSON.stringify(contract)).digest('base64url');

/**
 * The live instances, learned from announcements and heartbeats; each process keeps its own view. A draining instance is
 * removed at once, a silent one after three of its intervals.
 *
 * Instances of outside services have heartbeats only through a registration proxy. If all proxies are gone, missing heartbeats
 * mean nothing: such instances stay (`#presentUntil`, `#extendLeases`). A proxy also repeats their announcements for roll
 * calls of others, which do not prove that they live (`#isRepeated`).
 */
export class Instances {
  readonly #instances = new Map<string, KnownInstance>();
  readonly #listener: Listener;
  /** Until when a service on the bus has a present instance, on the monotonic clock: registration proxies. */
  readonly #presentUntil = new Map<string, number>();
  /** When the last roll call was sent, on the monotonic clock: -Infinity before the first, Infinity while it is being sent. */
  #calledAt = -Infinity;
  #isClosed = false;
  #repeatedCall: NodeJS.Timeout | undefined;
  readonly #refused = new Map<string, RefusedSender>();

  /**
   * @param onAnnounced runs with every accepted announcement
   * @param upstreams data to keep of HTTP upstream instances, whose number and size the store does not control
   */
  constructor(
    private readonly connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly onAnnounced: (announcement: Announcement) => void = () => {},
    private readonly upstreams: UpstreamsKept = 'none',
  ) {
    this.#listener = new Listener(
      connection,
      ({ pattern, data }) => this.receive(pattern, data),
      () => this.#sendRollCall(),
      (message) => {
        const isAllowed = this.#isAllowed(message);
        if (!isAllowed) this.#noteRefused(message);
        return isAllowed;
      },
    );
  }

  async open(): Promise<void> {
    await this.#listener.open(announced, heartbeat);
  }

  /** Only for the two patterns that `receive` applies. */
  #isAllowed({ pattern, data, sender }: Incoming): boolean {
    const body = (data ?? {}) as Partial<Announcement>;
    if (pattern === announced) return this.#mayAnnounce(body, sender);
    return pattern === heartbeat && this.#maySendHeartbeat(body, sender);
  }

  /** A service may announce its own instances; the registry those of outside services. */
  #mayAnnounce({ service, instance, upstream }: Partial<Announcement>, sender: string | undefined): boolean {
    const known = this.#instances.get(instance ?? '')?.announcement;
    if (upstream) return sender === registryService && (!known || known.upstream !== undefined);
    return sender !== undefined && sender === service && (!known || sender === known.service);
  }

  /** Any login may send a heartbeat of an unknown instance: it only triggers a roll call. */
  #maySendHeartbeat({ instance }: Partial<Announcement>, sender: string | undefined): boolean {
    const known = this.#instances.get(instance ?? '')?.announcement;
    if (!known) return sender !== undefined;
    return sender === (known.upstream ? registryService : known.service);
  }

  #noteRefused({ data, sender = 'unknown' }: Incoming): void {
    const { service, instance } = (data ?? {}) as Record<string, unknown>;
    const named = [service, instance].find((name) => typeof name === 'string') ?? 'unknown';
    const about = (named as string).slice(0, 60);
    const count = (this.#refused.get(sender)?.count ?? 0) + 1;
    this.#refused.set(sender, { sender, about, count, lastAt: new Date().toISOString() });
  }

  /** One entry for each login that announced instances of another service. */
  get refusedSenders(): RefusedSender[] {
    return [...this.#refused.values()];
  }

  /** Applies an announcement or heartbeat, and ignores any other message. */
  receive(pattern: string, data: unknown): void {
    const { instance } = (data ?? {}) as Record<string, unknown>;
    if (this.upstreams === 'none' && isUpstreamName(instance)) return;
    if (pattern === heartbeat) this.#receiveHeartbeat(data);
    else if (pattern === announced) this.#receiveAnnouncement(data);
  }

  #receiveAnnouncement(data: unknown): void {
    const parsed = Announcement.safeParse(data);
    if (!parsed.success) return;
    const announcement = parsed.data;
    const { instance, state } = announcement;
    if (this.upstreams !== 'registrations') delete announcement.registration;
    const known = this.#instances.get(instance);
    announcement.load ??= known?.announcement.load;
    // An instance whose clock is ahead must not count as the newest one.
    if (Date.parse(announcement.startedAt) > Date.now())
      announcement.startedAt = known?.announcement.startedAt ?? new Date().toISOString();
    if (state === 'draining') this.#removeDraining(announcement);
    else {
      const hash = computeHash(announcement);
      if (!this.#shareContract(announcement, hash)) return this.connection.reportRefusedMessage('soft state');
      const isRepeated = known && this.#isRepeated(announcement, known.announcement);
      const until = isRepeated ? known.until : performance.now() + getLeaseMs(announcement);
      this.#instances.set(instance, { announcement, hash, until });
      this.#notePresent(announcement, until);
    }
    this.onAnnounced(announcement);
  }

  /**
   * Makes instances with the same contract share one object.
   * @returns false if a service on the bus already has too many instances or contracts
   */
  #shareContract(announcement: Announcement, hash: string): boolean {
    const { service, instance, upstream } = announcement;
    const others = [...this.#instances.values()].filter(
      (one) => one.announcement.service === service && one.announcement.instance !== instance,
    );
    const sameContract = others.find((one) => one.hash === hash);
    if (sameContract) announcement.contract = sameContract.announcement.contract;
    // Instances of outside services come from the registry, which has its own limits.
    if (upstream) return true;
    const hashes = new Set(others.map((one) => one.hash));
    return others.length < maxInstances && (sameContract !== undefined || hashes.size < maxContracts);
  }

  /** An announcement repeated for the roll call of another process does not renew the lease: heartbeats do. */
  #isRepeated({ upstream, startedAt }: Announcement, known: Announcement): boolean {
    return (
      upstream !== undefined &&
      startedAt === known.startedAt &&
      performance.now() - this.#calledAt > rollCallMs
    );
  }

  #receiveHeartbeat(data: unknown): void {
    const parsed = Heartbeat.safeParse(data);
    if (!parsed.success) return;
    const { instance, load, openCircuits } = parsed.data;
    const known = this.#instances.get(instance);
    if (known) {
      known.until = performance.now() + getLeaseMs(known.announcement);
      this.#notePresent(known.announcement, known.until);
      if (load !== undefined) known.announcement.load = load;
      if (openCircuits) known.announcement.openCircuits = openCircuits;
    } else if (performance.now() - this.#calledAt > rollCallMs) this.#sendRollCall();
  }

  /** A proxy that comes back finds its instances with full leases. */
  #notePresent({ service, upstream }: Announcement, until: number): void {
    if (upstream) return;
    const now = performance.now();
    const before = this.#presentUntil.get(service) ?? -Infinity;
    if (before < now) this.#extendLeases(now);
    this.#presentUntil.set(service, Math.max(before, until));
  }

  #removeDraining({ service, instance, upstream }: Announcement): void {
    this.#instances.delete(instance);
    if (upstream) return;
    const others = [...this.#instances.values()].filter(
      ({ announcement }) => announcement.service === service,
    );
    this.#presentUntil.set(service, Math.max(performance.now(), ...others.map(({ until }) => until)));
  }

  /** Never throws. Without a connection of the publisher it is tried again: else no instance would be known. */
  #sendRollCall(): void {
    this.#calledAt = Infinity;
    clearTimeout(this.#repeatedCall);
    publishSoftState(this.publisher, rollCall, this.source, {}).then(
      () => (this.#calledAt = performance.now()),
      () => {
        if (!this.#isClosed) this.#repeatedCall = setTimeout(() => this.#sendRollCall(), rollCallMs).unref();
      },
    );
  }

  /** All present instances, including those that accept no work, newest first. */
  get present(): Announcement[] {
    const now = performance.now();
    this.#extendLeases(now);
    this.#removeExpired(now);
    return [...this.#instances.values()]
      .filter(({ until }) => until >= now)
      .map(({ announcement }) => announcement)
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  }

  /** Peers may still consider an expired instance present: it is kept for two more leases. */
  #removeExpired(now: number): void {
    for (const [instance, { announcement, until }] of this.#instances) {
      if (until + 2 * getLeaseMs(announcement) < now) this.#instances.delete(instance);
    }
  }

  /** True once all instances had the time to answer the roll call. False again for a second after each later roll call. */
  get isRollCallOver(): boolean {
    return this.#calledAt > -Infinity && performance.now() - this.#calledAt > rollCallMs;
  }

  /** Instances on the bus that accept work and sent a message after `time` (of `performance.now()`). */
  aliveSince(time: number): Announcement[] {
    const now = performance.now();
    this.#extendLeases(now);
    this.#removeExpired(now);
    return [...this.#instances.values()]
      .filter(({ announcement, until }) => {
        const { state, upstream } = announcement;
        const lastSeen = until - getLeaseMs(announcement);
        return state === 'up' && !upstream && until >= now && lastSeen > time;
      })
      .map(({ announcement }) => announcement);
  }

  /**
   * Without a running registration proxy nothing renews the lease of its instances: those that were present when the last
   * proxy ended stay, with a full lease.
   */
  #extendLeases(now: number): void {
    for (const known of this.#instances.values()) {
      const { registrationProxy } = known.announcement;
      if (!registrationProxy) continue;
      const endedAt = this.#presentUntil.get(registrationProxy) ?? -Infinity;
      if (endedAt < now && known.until >= endedAt) known.until = now + getLeaseMs(known.announcement);
    }
  }

  /** Instances that accept work, newest first. */
  get alive(): Announcement[] {
    return this.present.filter(({ state }) => state === 'up');
  }

  close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#repeatedCall);
    return this.#listener.close();
  }
}
