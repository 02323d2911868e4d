import { createHash } from 'node:crypto';
import { Announcement, Heartbeat } from '@jogakbo/contract';
import { hasSender, tell } from './announcer.ts';
import type { BrokerConnection } from './connection.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { instanceEvents, registryService } from './topology.ts';
import type { Incoming } from './wire.ts';

const { announced, beat, rollCall } = instanceEvents;

/** Who fell silent is remembered for six more intervals, in milliseconds: others may think for that long that it is there. */
const rememberGone = 6_000;
/** Instances of one service that are kept, and contracts that they have together: more would be made up. */
const mostInstances = 100;
const mostContracts = 8;
/** A roll that one has called is answered within this many milliseconds. */
const rollTakes = 1_000;
/** A registration proxy answers a roll call no more often than this, in milliseconds: within the time that a roll takes. */
const rollAnswerEvery = 500;

/**
 * What is kept of instances that are asked over HTTP: nothing; what a gateway needs to ask them; or also how they
 * registered, which a registry needs to announce them in place of another one.
 */
export type UpstreamsKept = 'none' | 'routes' | 'registrations';
/** Names of instances on the bus hold no colon, those of all others do: see `Announcement`. */
const isUpstreamName = (instance: unknown): boolean => typeof instance === 'string' && instance.includes(':');

/** A login that announced what it may not: how often, and about what the last time. */
export interface RefusedSender {
  sender: string;
  about: string;
  count: number;
  lastAt: string;
}

interface Heard {
  announcement: Announcement;
  /** The same for the same contract. */
  hash: string;
  /** By a clock that nobody sets. */
  until: number;
}

const computeHash = ({ contract }: Announcement): string =>
  createHash('sha256').update(JSON.stringify(contract)).digest('base64url');

/**
 * Who is alive, as far as one can hear. An instance that says it drains is gone at once, a silent one after three of
 * its intervals, where it speaks for itself or somebody is there who speaks for it. Nobody keeps this for anybody else:
 * whoever wants to know listens.
 */
export class Instances {
  readonly #heard = new Map<string, Heard>();
  readonly #listener: Listener;
  #calledAt = -Infinity;
  readonly #refused = new Map<string, RefusedSender>();

  /**
   * @param onAnnounced runs with every announcement that is kept
   * @param upstreams what to keep of instances that are asked over HTTP: their number and size are not the store's to choose
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
      ({ pattern, data }) => this.hear(pattern, data),
      () => this.#callRoll(),
      (message) => {
        const mayTell = this.#mayTell(message);
        if (!mayTell) this.#noteRefused(message);
        return mayTell;
      },
    );
  }

  async open(): Promise<void> {
    await this.#listener.open(announced, beat);
  }

  /** Every service speaks for its own instances; for those that are not on the bus the registry does. */
  #mayTell({ pattern, data, sender }: Incoming): boolean {
    const said = data as Partial<Announcement> | null;
    const about = pattern === announced ? said : this.#heard.get(said?.instance ?? '')?.announcement;
    // The beat of one that is not known says nothing, but that there is somebody to ask for.
    if (!about) return sender !== undefined;
    const known = this.#heard.get(about.instance ?? '')?.announcement;
    if (about.upstream) return sender === registryService && (!known || known.upstream !== undefined);
    return sender === about.service && sender === (known?.service ?? sender);
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

  /** Takes in what an instance, or somebody on its behalf, says. */
  hear(pattern: string, data: unknown): void {
    const { instance } = (data ?? {}) as Record<string, unknown>;
    if (this.upstreams === 'none' && isUpstreamName(instance)) return;
    if (pattern === beat) this.#hearBeat(data);
    else this.#hearAnnouncement(data);
  }

  #hearAnnouncement(data: unknown): void {
    const heard = Announcement.safeParse(data);
    if (!heard.success) return;
    const announcement = heard.data;
    const { instance, state, interval } = announcement;
    if (this.upstreams !== 'registrations') delete announcement.registration;
    const known = this.#heard.get(instance);
    announcement.load ??= known?.announcement.load;
    // A clock that is ahead makes no instance the newest one.
    if (Date.parse(announcement.startedAt) > Date.now())
      announcement.startedAt = known?.announcement.startedAt ?? new Date().toISOString();
    if (state === 'draining') this.#heard.delete(instance);
    else {
      const hash = computeHash(announcement);
      if (!this.#share(announcement, hash)) return this.connection.refuseStranger('soft state');
      const isHearsay = known && this.#isHearsay(announcement, known.announcement);
      const until = isHearsay ? known.until : performance.now() + interval * 3_000;
      this.#heard.set(instance, { announcement, hash, until });
    }
    this.onAnnounced(announcement);
  }

  /**
   * Makes instances with the same contract hold it once.
   * @returns false where a service on the bus has too many instances or contracts already
   */
  #share(announcement: Announcement, hash: string): boolean {
    const { service, instance, upstream } = announcement;
    const others = [...this.#heard.values()].filter(
      (one) => one.announcement.service === service && one.announcement.instance !== instance,
    );
    const twin = others.find((one) => one.hash === hash);
    if (twin) announcement.contract = twin.announcement.contract;
    // Those of apps come from the registry, which bounds them itself.
    if (upstream) return true;
    const hashes = new Set(others.map((one) => one.hash));
    return others.length < mostInstances && (twin !== undefined || hashes.size < mostContracts);
  }

  /** What others say of an instance, when somebody else calls the roll, is no sign of its life: its beats are. */
  #isHearsay({ upstream, startedAt }: Announcement, known: Announcement): boolean {
    return (
      upstream !== undefined &&
      startedAt === known.startedAt &&
      performance.now() - this.#calledAt > rollTakes
    );
  }

  #hearBeat(data: unknown): void {
    const heard = Heartbeat.safeParse(data);
    if (!heard.success) return;
    const { instance, load, leftAlone } = heard.data;
    const known = this.#heard.get(instance);
    if (known) {
      known.until = performance.now() + known.announcement.interval * 3_000;
      if (load !== undefined) known.announcement.load = load;
      if (leftAlone) known.announcement.leftAlone = leftAlone;
    } else if (performance.now() - this.#calledAt > rollTakes) this.#callRoll();
  }

  #callRoll(): void {
    this.#calledAt = performance.now();
    void tell(this.publisher, rollCall, this.source, {}).catch(() => {});
  }

  /** Those that are there now, those that take no work included, newest first. */
  get present(): Announcement[] {
    const now = performance.now();
    this.#excuse(now);
    this.#forget(now);
    return [...this.#heard.values()]
      .filter(({ until }) => until >= now)
      .map(({ announcement }) => announcement)
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  }

  #forget(now: number): void {
    for (const [instance, { announcement, until }] of this.#heard) {
      if (until + announcement.interval * rememberGone < now) this.#heard.delete(instance);
    }
  }

  /** True once those that are there had the time to answer the roll. */
  get learned(): boolean {
    return performance.now() - this.#calledAt > rollTakes && this.#calledAt > -Infinity;
  }

  /** Those on the bus that take work now, and said something after `time` (of `performance.now()`). */
  aliveSince(time: number): Announcement[] {
    const now = performance.now();
    this.#forget(now);
    return [...this.#heard.values()]
      .filter(({ announcement: { state, interval, upstream }, until }) => {
        const heard = until - interval * 3_000;
        return state === 'up' && !upstream && until >= now && heard > time;
      })
      .map(({ announcement }) => announcement);
  }

  /** Of whom nobody can speak it is not known that they are gone: they stay, and have their time when somebody can again. */
  #excuse(now: number): void {
    const there = new Set<string>();
    for (const { announcement, until } of this.#heard.values())
      if (until >= now) there.add(announcement.service);
    for (const held of this.#heard.values()) {
      const { spokesman, interval } = held.announcement;
      if (spokesman && !there.has(spokesman) && held.until >= now) held.until = now + interval * 3_000;
    }
  }

  /** Those that take work now, newest first. */
  get alive(): Announcement[] {
    return this.present.filter(({ state }) => state === 'up');
  }

  close(): Promise<void> {
    return this.#listener.close();
  }
}

/**
 * Speaks on the bus for instances that are not on it: announces them, passes their signs of life on, and answers for
 * all that are present when the roll is called. Several may speak for the same instance.
 */
export class RegistrationProxy {
  readonly #listener: Listener;
  #answering: NodeJS.Timeout | undefined;
  #answeredAt = -Infinity;

  /** @param instances hears what is said here at once, and knows who is present */
  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly instances: Instances,
  ) {
    this.#listener = new Listener(connection, () => this.#answerRoll(), undefined, hasSender);
  }

  async open(): Promise<void> {
    await this.#listener.open(rollCall);
  }

  #answerRoll(): void {
    const wait = Math.max(20, this.#answeredAt + rollAnswerEvery - performance.now());
    this.#answering ??= setTimeout(() => {
      this.#answering = undefined;
      this.#answeredAt = performance.now();
      for (const one of this.instances.present) {
        if (one.upstream) void tell(this.publisher, announced, this.source, one).catch(() => {});
      }
    }, wait);
  }

  /** @throws BrokerUnavailable when nobody could hear it */
  async announce(announcement: Announcement): Promise<void> {
    const spoken = { ...announcement, spokesman: this.source };
    await tell(this.publisher, announced, this.source, spoken);
    this.instances.hear(announced, spoken);
  }

  /** Never throws: who does not hear a beat hears the next one. */
  async beat({ instance, interval }: Announcement): Promise<void> {
    const heartbeat: Heartbeat = { instance, interval };
    this.instances.hear(beat, heartbeat);
    await tell(this.publisher, beat, this.source, heartbeat).catch(() => {});
  }

  async close(): Promise<void> {
    clearTimeout(this.#answering);
    await this.#listener.close();
  }
}
