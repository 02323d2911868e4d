import type { Announcement } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { Channel } from 'amqplib';
import { RecoveringChannel, within, type BrokerConnection } from './connection.ts';
import type { Shares } from './split.ts';
import { assertVersion, exchanges, queues, requestKey } from './topology.ts';

/** How often to look who takes what, in milliseconds. */
const lookEvery = 250;

/** How the calls of a service are split, and who is there, as an instance of it knows it. */
export interface SplitAtServer {
  /** Of this instance. */
  version: string;
  /** Undefined while no split stands. */
  shares(): Shares | undefined;
  /**
   * Those that take work now and were heard of after `time` (of `performance.now()`); undefined where that is not known
   * yet.
   */
  aliveSince(time: number): Announcement[] | undefined;
}

type Kind = 'commands' | 'queries';

/** What the server does for it. */
interface Consumers {
  readonly service: string;
  readonly connection: BrokerConnection;
  /** The names of the contracts that this instance handles. */
  readonly names: Record<Kind, string[]>;
  takes(queue: string): boolean;
  /** Begins to consume; nothing where it does already. `version` is whose queue it is. */
  take(kind: Kind, version?: string): Promise<void>;
  /** Takes nothing more; what is at hand is ended. */
  leave(queue: string): void;
}

/**
 * Decides which queues of commands and queries an instance consumes.
 *
 * - While a split names its version, it takes what is sent to that version and leaves the rest to the others. Where there
 *   are no others it takes all: when the broker says that nobody consumes, or when nobody else is heard of.
 * - What lies in the queue of a version whose instances are gone is taken by all others, and nothing more gets there.
 * - When the split is over the queue is emptied, left, and goes by itself.
 */
export class VersionQueues {
  readonly #logger = new Logger('VersionQueues');
  readonly #kept: RecoveringChannel;
  readonly #kinds: Kind[];
  /** Versions whose queues may exist. */
  readonly #known = new Set<string>();
  /** Queues that are seen to take nothing more. */
  readonly #unbound = new Set<string>();
  /** When a common queue was taken for want of others. */
  readonly #tookAt = new Map<string, number>();
  #work: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    private readonly split: SplitAtServer,
    private readonly consumers: Consumers,
  ) {
    this.#kept = new RecoveringChannel(consumers.connection, (model) => model.createChannel());
    this.#kinds = (['commands', 'queries'] as const).filter((kind) => consumers.names[kind].length > 0);
  }

  /** Takes the queues that are to be taken now. @throws what the first declaration throws */
  async open(): Promise<void> {
    await this.#kept.open();
    await this.#look();
    this.#lookAgain();
  }

  /** To be called when the split has changed. */
  readonly changed = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#work = this.#work
      .then(() => this.#look())
      .catch((error: Error) =>
        this.#logger.warn(`the queues of versions are looked at again: ${error.message}`),
      )
      .then(() => this.#lookAgain());
  };

  /** Without a split there is nothing to look after. */
  #lookAgain(): void {
    if (this.#closed || this.#timer || this.#known.size === 0) return;
    this.#timer = setTimeout(this.changed, lookEvery);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    const { version } = this.split;
    const shares = this.split.shares() ?? {};
    for (const one of Object.keys(shares)) this.#known.add(one);
    const channel = this.#kept.current;
    for (const kind of this.#kinds) {
      if (!Object.hasOwn(shares, version)) await this.consumers.take(kind);
      else if (channel) await this.#takeOwn(channel, kind, shares);
    }
    if (!channel) return;
    for (const one of this.#known) {
      if (one === version && Object.hasOwn(shares, version)) continue;
      const empty = await Promise.all(this.#kinds.map((kind) => this.#empty(channel, kind, one)));
      if (empty.every(Boolean) && !Object.hasOwn(shares, one)) this.#known.delete(one);
    }
  }

  async #takeOwn(channel: Channel, kind: Kind, shares: Shares): Promise<void> {
    const { consumers, split } = this;
    const { service, names } = consumers;
    const own = queues[kind](service, split.version);
    await consumers.take(kind, split.version);
    // Bound after it is consumed, and again each time: others unbind it when they see nobody there.
    await Promise.all(
      names[kind].map((name) =>
        channel.bindQueue(own, exchanges.requests(service), requestKey(name, split.version)),
      ),
    );
    this.#unbound.delete(own);

    const common = queues[kind](service);
    const others = (since: number) =>
      split.aliveSince(since)?.some((one) => one.service === service && !Object.hasOwn(shares, one.version));
    if (consumers.takes(common)) {
      if (!others(this.#tookAt.get(common) ?? -Infinity)) return;
      this.#tookAt.delete(common);
      consumers.leave(common);
    } else if (others(-Infinity) === false || (await isLeft(channel, common))) {
      this.#tookAt.set(common, performance.now());
      await consumers.take(kind);
    }
  }

  /** Looks after the queue of a version that this instance is not to be asked for. True where it is empty for good. */
  async #empty(channel: Channel, kind: Kind, version: string): Promise<boolean> {
    const { consumers } = this;
    const { service, names } = consumers;
    const queue = queues[kind](service, version);
    const { consumerCount, messageCount } = await assertVersion(channel, service, kind, version);
    const isTaken = consumers.takes(queue);
    if (consumerCount > 0 && !isTaken) {
      this.#unbound.delete(queue);
      return false;
    }
    if (messageCount > 0) await consumers.take(kind, version);
    if (!this.#unbound.has(queue)) {
      await Promise.all(
        names[kind].map((name) =>
          channel.unbindQueue(queue, exchanges.requests(service), requestKey(name, version)),
        ),
      );
      this.#unbound.add(queue);
      return false; // something may be on its way into it
    }
    if (messageCount > 0) return false;
    if (isTaken) consumers.leave(queue);
    return !isTaken;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await within(1_000, this.#work).catch(() => {});
    await this.#kept.close();
  }
}

/** True where nobody consumes a queue, or it is not there. */
async function isLeft(channel: Channel, queue: string): Promise<boolean> {
  const { consumerCount } = await channel.checkQueue(queue).catch(() => ({ consumerCount: 0 }));
  return consumerCount === 0;
}
