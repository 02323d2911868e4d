import { Announcement, type Heartbeat } from '@jogakbo/contract';
import { z } from 'zod';
import type { BrokerConnection } from './connection.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { hasSender, maxSoftStateBytes, publishSoftState } from './soft-state.ts';
import { instanceEvents } from './topology.ts';

const { announced, heartbeat, rollCall } = instanceEvents;

/** Bytes reserved for message headers, and for the growth of an announcement while its instance runs. */
const reservedBytes = 16_384;
/** Announces this instance after each roll call, and sends a heartbeat every `interval` seconds. */
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
    this.#listener = new Listener(connection, () => this.#answerRollCall(), undefined, hasSender);
  }

  /** @throws Error if receivers would ignore the announcement, because it is invalid or too large */
  async open(): Promise<void> {
    const text = JSON.stringify(this.describe());
    const { error } = Announcement.safeParse(JSON.parse(text));
    if (error) throw new Error(`the announcement is invalid:\n${z.prettifyError(error)}`);
    const bytes = Buffer.byteLength(text);
    const limit = maxSoftStateBytes - reservedBytes;
    if (bytes > limit)
      throw new Error(
        `the contract is too large: its announcement has ${bytes} bytes, the limit is ${limit}`,
      );
    await this.#listener.open(rollCall);
    await this.announce();
    this.#timer = setInterval(() => void this.#sendHeartbeat(), this.describe().interval * 1_000);
    this.#timer.unref();
  }

  /** After a broker restart all instances send a roll call: one announcement answers them all. */
  #answerRollCall(): void {
    this.#answering ??= setTimeout(() => {
      this.#answering = undefined;
      void this.announce();
    }, 20);
  }

  /** Never throws: a receiver that missed it sends a roll call after the next heartbeat. */
  async announce(): Promise<void> {
    const announcement = this.describe();
    await publishSoftState(this.publisher, announced, announcement.service, announcement).catch(() => {});
  }

  async #sendHeartbeat(): Promise<void> {
    const { service, instance, interval, openCircuits } = this.describe();
    const utilization = performance.eventLoopUtilization();
    const { utilization: busy } = performance.eventLoopUtilization(utilization, this.#utilization);
    this.#utilization = utilization;
    const load = Math.round(Math.min(1, Math.max(0, busy)) * 1_000) / 1_000;
    const data: Heartbeat = { instance, interval, load, openCircuits };
    await publishSoftState(this.publisher, heartbeat, service, data).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#answering);
    await this.#listener.close();
  }
}
