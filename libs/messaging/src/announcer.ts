import { randomUUIDv7 } from 'node:crypto';
import type { Announcement, Heartbeat } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import type { Instances } from './instances.ts';
import { largestHeard, Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { exchanges, instanceEvents } from './topology.ts';
import { contextHeaders, encodeEvent, type Incoming } from './wire.ts';

const { announced, beat, rollCall } = instanceEvents;
/** Bytes of a message around an announcement, and what an announcement grows by while its instance runs. */
const envelope = 16_384;
/** Anybody may want to know who is there. */
const anybody = ({ sender }: Incoming): boolean => sender !== undefined;

/** Publishes soft state: it is not kept for those who are away. */
export async function tell(publisher: Publisher, name: string, source: string, data: unknown): Promise<void> {
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
  #utilization = performance.eventLoopUtilization();
  readonly #listener: Listener;

  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly describe: () => Announcement,
  ) {
    this.#listener = new Listener(connection, () => this.#answerRoll(), undefined, anybody);
  }

  /** @throws Error where its announcement is too large to be read */
  async open(): Promise<void> {
    const bytes = Buffer.byteLength(JSON.stringify(this.describe()));
    if (bytes > largestHeard - envelope)
      throw new Error(
        `the contract is too large: its announcement has ${bytes} bytes of at most ${largestHeard}`,
      );
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
    const { service, instance, interval, leftAlone } = this.describe();
    const utilization = performance.eventLoopUtilization();
    const { utilization: busy } = performance.eventLoopUtilization(utilization, this.#utilization);
    this.#utilization = utilization;
    const load = Math.round(Math.min(1, Math.max(0, busy)) * 1_000) / 1_000;
    const heartbeat: Heartbeat = { instance, interval, load, leftAlone };
    await tell(this.publisher, beat, service, heartbeat).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#answering);
    await this.#listener.close();
  }
}

/**
 * Speaks on the bus for instances that are not on it: announces them, passes their signs of life on, and answers for
 * all that are present when the roll is called. Several may speak for the same instance.
 */
export class Spokesman {
  readonly #listener: Listener;
  #answering: NodeJS.Timeout | undefined;

  /** @param instances hears what is said here at once, and knows who is present */
  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly instances: Instances,
  ) {
    this.#listener = new Listener(connection, () => this.#answerRoll(), undefined, anybody);
  }

  async open(): Promise<void> {
    await this.#listener.open(rollCall);
  }

  #answerRoll(): void {
    this.#answering ??= setTimeout(() => {
      this.#answering = undefined;
      for (const one of this.instances.present) {
        if (one.upstream) void tell(this.publisher, announced, this.source, one).catch(() => {});
      }
    }, 20);
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
