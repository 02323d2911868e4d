import type { Announcement } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { Channel } from 'amqplib';
import { RecoveringChannel, within, type BrokerConnection } from './connection.ts';
import type { Shares } from './split.ts';
import { assertVersion, exchanges, queues, requestKey } from './topology.ts';

/** Interval between checks of consumers and queues, in milliseconds. */
const checkIntervalMs = 250;

/** The traffic split of a service and its live instances, as known to one instance. */
export interface SplitAtServer {
  /** The version of this instance. */
  version: string;
  /** Undefined without a split. */
  shares(): Shares | undefined;
  /**
   * Instances that accept work and sent a message after `time` (of `performance.now()`); undefined while that is unknown.
   */
  aliveSince(time: number): Announcement[] | undefined;
}

type Kind = 'commands' | 'queries';

type DrainState = 'in use' | 'draining' | 'drained';

/** Switches the consumers of the server's queues on and off. */
interface QueueSwitch {
  readonly service: string;
  readonly connection: BrokerConnection;
  /** The names of the contracts that this instance handles. */
  readonly names: Record<Kind, string[]>;
  isConsuming(queue: string): boolean;
  /** Starts to consume the queue of all versions, or of `version`. Idempotent. */
  consume(kind: Kind, version?: string): Promise<void>;
  /** Stops consuming; messages in progress are completed. */
  stopConsuming(queue: string): void;
}

/**
 * Decides which queues of commands and queries an instance consumes.
 *
 * - While its version has a share, it consumes the queue of that version only. It also consumes the common queue if there
 *   are no other instances: the broker reports no consumer, or no announcements of others arrive.
 * - The queue of a version without instances is unbound, and all other instances consume its messages.
 * - After the split the queue is emptied and expires.
 */
export class VersionQueues {
  readonly #logger = new Logger('VersionQueues');
  readonly #channel: RecoveringChannel;
  readonly #kinds: Kind[];
  /** Versions whose queues may exist. */
  readonly #versions = new Set<string>();
  /** Queues that this instance has unbound. */
  readonly #unbound = new Set<string>();
  /** When a common queue was consumed because there were no other instances. */
  readonly #consumedSince = new Map<string, number>();
  #work: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly split: SplitAtServer,
    private readonly consumers: QueueSwitch,
  ) {
    this.#channel = new RecoveringChannel(consumers.connection, (model) => model.createChannel());
    this.#kinds = (['commands', 'queries'] as const).filter((kind) => consumers.names[kind].length > 0);
  }

  /** Consumes the queues that the split requires now. @throws the error of the first declaration */
  async open(): Promise<void> {
    await this.#channel.open();
    await this.#check();
    this.#scheduleCheck();
  }

  /** Must be called after each change of the split. */
  readonly update = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#work = this.#work
      .then(() => this.#check())
      .catch((error: Error) =>
        this.#logger.warn(`cannot update the version queues, trying again: ${error.message}`),
      )
      .then(() => this.#scheduleCheck());
  };

  /** Without a split no check is needed. */
  #scheduleCheck(): void {
    if (this.#closed || this.#timer || this.#versions.size === 0) return;
    this.#timer = setTimeout(this.update, checkIntervalMs);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    if (this.#closed) return;
    const { version } = this.split;
    const shares = this.split.shares() ?? {};
    for (const one of Object.keys(shares)) this.#versions.add(one);
    const channel = this.#channel.current;
    for (const kind of this.#kinds) {
      if (!Object.hasOwn(shares, version)) await this.consumers.consume(kind);
      else if (channel) await this.#consumeOwn(channel, kind, shares);
    }
    if (!channel) return;
    for (const one of this.#versions) {
      if (one === version && Object.hasOwn(shares, version)) continue;
      const states = await Promise.all(this.#kinds.map((kind) => this.#advanceDrain(channel, kind, one)));
      if (states.every((state) => state === 'drained') && !Object.hasOwn(shares, one))
        this.#versions.delete(one);
    }
  }

  /**
   * Consumes the queue of the own version, and decides about the common queue:
   *
   * | common queue | other instances (`hasOthers`)                 | action             |
   * | ------------ | --------------------------------------------- | ------------------ |
   * | consumed     | heartbeats since this instance consumes it    | stop consuming     |
   * | consumed     | none, or unknown                              | none               |
   * | not consumed | none are known, or the queue has no consumer  | consume            |
   * | not consumed | any, and the queue has a consumer             | none               |
   */
  async #consumeOwn(channel: Channel, kind: Kind, shares: Shares): Promise<void> {
    const { consumers, split } = this;
    const { service, names } = consumers;
    const own = queues[kind](service, split.version);
    await consumers.consume(kind, split.version);
    // Bound only once it is consumed, and again in every check: others unbind a queue without consumers.
    await Promise.all(
      names[kind].map((name) =>
        channel.bindQueue(own, exchanges.requests(service), requestKey(name, split.version)),
      ),
    );
    this.#unbound.delete(own);

    const common = queues[kind](service);
    // Undefined while unknown. Once this instance consumes the common queue its consumer count says nothing about others:
    // they are then recognized by heartbeats after that moment.
    const hasOthers = (since: number): boolean | undefined =>
      split.aliveSince(since)?.some((one) => one.service === service && !Object.hasOwn(shares, one.version));
    if (consumers.isConsuming(common)) {
      if (!hasOthers(this.#consumedSince.get(common) ?? -Infinity)) return;
      this.#consumedSince.delete(common);
      consumers.stopConsuming(common);
    } else if (hasOthers(-Infinity) === false || (await hasNoConsumer(channel, common))) {
      this.#consumedSince.set(common, performance.now());
      await consumers.consume(kind);
    }
  }

  /**
   * Advances the drain of the queue of another version by one step.
   * @returns `in use`: it has consumers elsewhere; `draining`: it is unbound, and consumed here until it is empty; `drained`:
   *   it is empty and not consumed, until it expires
   */
  async #advanceDrain(channel: Channel, kind: Kind, version: string): Promise<DrainState> {
    const { consumers } = this;
    const { service, names } = consumers;
    const queue = queues[kind](service, version);
    const { consumerCount, messageCount } = await assertVersion(channel, service, kind, version);
    const isConsuming = consumers.isConsuming(queue);
    if (consumerCount > 0 && !isConsuming) {
      this.#unbound.delete(queue);
      return 'in use';
    }
    if (messageCount > 0) await consumers.consume(kind, version);
    if (!this.#unbound.has(queue)) {
      await Promise.all(
        names[kind].map((name) =>
          channel.unbindQueue(queue, exchanges.requests(service), requestKey(name, version)),
        ),
      );
      this.#unbound.add(queue);
      return 'draining'; // a message may still be routed into it
    }
    if (messageCount > 0) return 'draining';
    if (isConsuming) consumers.stopConsuming(queue);
    return isConsuming ? 'draining' : 'drained';
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await within(1_000, this.#work).catch(() => {});
    await this.#channel.close();
  }
}

/** True if a queue has no consumer, or does not exist. */
async function hasNoConsumer(channel: Channel, queue: string): Promise<boolean> {
  const { consumerCount } = await channel.checkQueue(queue).catch(() => ({ consumerCount: 0 }));
  return consumerCount === 0;
}
