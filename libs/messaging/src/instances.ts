import { randomUUIDv7 } from 'node:crypto';
import { Announcement } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { exchanges } from './topology.ts';
import { contextHeaders, encodeEvent } from './wire.ts';

const announced = 'instances.announced';
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

/** Says every `interval` seconds, and whenever somebody calls the roll, that this instance is there. */
export class Announcer {
  #timer: NodeJS.Timeout | undefined;
  readonly #listener: Listener;

  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly describe: () => Announcement,
  ) {
    this.#listener = new Listener(connection, () => void this.announce());
  }

  async open(): Promise<void> {
    await this.#listener.open(rollCall);
    await this.announce();
    this.#timer = setInterval(() => void this.announce(), this.describe().interval * 1_000);
    this.#timer.unref();
  }

  /** Never throws: one that is not heard is made good by the next. */
  async announce(): Promise<void> {
    const announcement = this.describe();
    await tell(this.publisher, announced, announcement.service, announcement).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#listener.close();
  }
}

/**
 * Who is alive, as far as one can hear. An instance that says it drains is gone at once, a silent one after three of
 * its intervals. Nobody keeps this for anybody else: whoever wants to know listens.
 */
export class Instances {
  readonly #heard = new Map<string, { announcement: Announcement; until: number }>();
  readonly #listener: Listener;

  /** @param onChange runs when an instance came, went, or came back with another contract */
  constructor(
    connection: BrokerConnection,
    publisher: Publisher,
    source: string,
    onChange: () => void = () => {},
  ) {
    this.#listener = new Listener(
      connection,
      ({ data }) => {
        const heard = Announcement.safeParse(data);
        if (heard.success && this.#take(heard.data)) onChange();
      },
      () => void tell(publisher, rollCall, source, {}).catch(() => {}),
    );
  }

  async open(): Promise<void> {
    await this.#listener.open(announced);
  }

  #take(announcement: Announcement): boolean {
    const { instance, state, interval } = announcement;
    if (state === 'draining') return this.#heard.delete(instance);
    const before = this.#heard.get(instance);
    this.#heard.set(instance, { announcement, until: Date.now() + interval * 3_000 });
    return !before || before.announcement.version !== announcement.version;
  }

  /** Those alive now, newest first. */
  get alive(): Announcement[] {
    const now = Date.now();
    for (const [instance, { until }] of this.#heard) if (until < now) this.#heard.delete(instance);
    return [...this.#heard.values()]
      .map(({ announcement }) => announcement)
      .sort((a, b) => b.startedAt.localeCompare(a.startedAt));
  }

  close(): Promise<void> {
    return this.#listener.close();
  }
}
