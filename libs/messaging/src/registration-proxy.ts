import type { Announcement, Heartbeat } from '@jogakbo/contract';
import type { BrokerConnection } from './connection.ts';
import type { Instances } from './instances.ts';
import { Listener } from './listener.ts';
import type { Publisher } from './publisher.ts';
import { hasSender, publishSoftState } from './soft-state.ts';
import { instanceEvents } from './topology.ts';

const { announced, heartbeat, rollCall } = instanceEvents;

/** Minimum time between two answers to roll calls, in milliseconds; below `rollCallMs` of `Instances`. */
const rollAnswerIntervalMs = 500;

/**
 * Represents instances of outside services, which have no broker login: announces them, forwards their heartbeats, and
 * announces all present ones after a roll call. Several proxies may represent the same instance.
 */
export class RegistrationProxy {
  readonly #listener: Listener;
  #answering: NodeJS.Timeout | undefined;
  #answeredAt = -Infinity;

  /** @param instances receives every message of this proxy directly, and lists the present instances */
  constructor(
    connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly instances: Instances,
  ) {
    this.#listener = new Listener(connection, () => this.#answerRollCall(), undefined, hasSender);
  }

  async open(): Promise<void> {
    await this.#listener.open(rollCall);
  }

  #answerRollCall(): void {
    const wait = Math.max(20, this.#answeredAt + rollAnswerIntervalMs - performance.now());
    this.#answering ??= setTimeout(() => {
      this.#answering = undefined;
      this.#answeredAt = performance.now();
      for (const one of this.instances.present) {
        if (one.upstream) void publishSoftState(this.publisher, announced, this.source, one).catch(() => {});
      }
    }, wait);
  }

  /** @throws BrokerUnavailable if it was not published */
  async announce(announcement: Announcement): Promise<void> {
    const relayed = { ...announcement, registrationProxy: this.source };
    await publishSoftState(this.publisher, announced, this.source, relayed);
    this.instances.receive(announced, relayed);
  }

  /** Never throws: the next heartbeat follows. */
  async sendHeartbeat({ instance, interval }: Announcement): Promise<void> {
    const data: Heartbeat = { instance, interval };
    this.instances.receive(heartbeat, data);
    await publishSoftState(this.publisher, heartbeat, this.source, data).catch(() => {});
  }

  async close(): Promise<void> {
    clearTimeout(this.#answering);
    await this.#listener.close();
  }
}
