import { randomUUIDv7 } from 'node:crypto';
import { Announcement, Heartbeat } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { exchanges } from './topology.ts';
import { contextHeaders, encodeEvent } from './wire.ts';

const announced = 'instances.announced';
const beat = 'instances.beat';
const rollCall = 'instances.roll-call';

async function tell(publisher: Publisher, name: string, source: string, data: unknown): Promise<void> {
  const event = { id: randomUUIDv7(), name, source, time: new Date(), data };
  const { content, options } = encodeEvent(event, contextHeaders(undefined));
  await publisher.publish({
    exchange: exchanges.events,
    routingKey: name,
    content,
    options: { ...options, persistent: false },
  });
}

/** Says what this instance is whenever somebody calls the roll, and every `interval` seconds that it is still there. */
export class Announcer {
  #timer: NodeJS.Timeout | undefined;
  #answering: NodeJS.Timeout | undefined;
  readonly #listener: Listener;

  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly describe: () => Announcement,
  ) {
    this.#listener = new Listener(connection, () => this.#answerRoll());
  }

  async open(): Promise<void> {
    await this.#listener.open(rollCall);
    await this.announce();
    this.#timer = setInterval(() => void this.#beat(), this.describe().interval * 1_000);
    this.#timer.unref();
  }

  /** When a broker comes back everybody calls: they get one answer. */
  #answerRoll(): void {
    this.#answering ??= setTimeout(() => {
      this.#answering = undefined;
      void this.announce();
    }, 20);
  }

  /** Never throws: whoever did not hear it finds out at the next beat, and calls the roll. */
  async announce(): Promise<void> {
    const announcement = this.describe();
    await tell(this.publisher, announced, announcement.service, announcement).catch(() => {});
  }

  async #beat(): Promise<void> {
    const { service, instance, interval } = this.describe();
    const heartbeat: Heartbeat = { instance, interval };
    await tell(this.publisher, beat, service, heartbeat).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#answering);
    await this.#listener.close();
  }
}

/**
 * Who is alive, as far as one can hear. An instance that says it drains is gone at once, a silent one after three of
 * its intervals. Nobody keeps this for anybody else: whoever wants to know listens.
 */
export class Instances {
  readonly #heard = new Map<string, { announcement: Announcement; until: number }>(); // by a clock that nobody sets
  readonly #listener: Listener;
  #calledAt = -Infinity;

  /** @param onAnnounced runs with every announcement that is heard */
  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly onAnnounced: (announcement: Announcement) => void = () => {},
  ) {
    this.#listener = new Listener(
      connection,
      ({ pattern, data }) => (pattern === beat ? this.#hearBeat(data) : this.#hearAnnouncement(data)),
      () => this.#callRoll(),
    );
  }

  async open(): Promise<void> {
    await this.#listener.open(announced, beat);
  }

  #hearAnnouncement(data: unknown): void {
    const heard = Announcement.safeParse(data);
    if (!heard.success) return;
    const { instance, state, interval } = heard.data;
    if (state === 'draining') this.#heard.delete(instance);
    else this.#heard.set(instance, { announcement: heard.data, until: performance.now() + interval * 3_000 });
    this.onAnnounced(heard.data);
  }

  #hearBeat(data: unknown): void {
    const heard = Heartbeat.safeParse(data);
    if (!heard.success) return;
    const { instance, interval } = heard.data;
    const known = this.#heard.get(instance);
    if (known) known.until = performance.now() + interval * 3_000;
    else if (performance.now() - this.#calledAt > 1_000) this.#callRoll();
  }

  #callRoll(): void {
    this.#calledAt = performance.now();
    void tell(this.publisher, rollCall, this.source, {}).catch(() => {});
  }

  /** Those alive now, newest first. */
  get alive(): Announcement[] {
    const now = performance.now();
    for (const [instance, { until }] of this.#heard) if (until < now) this.#heard.delete(instance);
    return [...this.#heard.values()]
      .map(({ announcement }) => announcement)
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  }

  close(): Promise<void> {
    return this.#listener.close();
  }
}
