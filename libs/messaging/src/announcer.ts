import { randomUUIDv7 } from 'node:crypto';
import type { Announcement, Heartbeat } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { exchanges, instanceEvents } from './topology.ts';
import { contextHeaders, encodeEvent, type Incoming } from './wire.ts';

const { announced, beat, rollCall } = instanceEvents;

/** Every login may call the roll. */
export const hasSender = ({ sender }: Incoming): boolean => sender !== undefined;

/** Publishes soft state about instances, which the broker does not keep. @throws BrokerUnavailable */
export async function tell(publisher: Publisher, name: string, source: string, data: unknown): Promise<void> {
  const event = { id: randomUUIDv7(), name, source, time: new Date(), data };
  const { content, options } = encodeEvent(event, contextHeaders(undefined));
  await publisher.publish({
    exchange: exchanges.events(name),
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
    this.#listener = new Listener(connection, () => this.#answerRoll(), undefined, hasSender);
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
