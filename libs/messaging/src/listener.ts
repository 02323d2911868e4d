import { randomUUIDv7 } from 'node:crypto';
import type { Channel } from 'amqplib';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';
import { assertExchange, exchanges, queues } from './topology.ts';
import { decode, type Incoming } from './wire.ts';

/** Bytes of a message that is read. What is larger is no soft state: an announcement of this store has about 25,000. */
export const largestHeard = 256 * 1024;

/**
 * Hears events as they pass, for as long as it lives: at most once, nothing is kept for it while it is away. For soft
 * state only (who is alive, what a waiting client waits for); what must not be missed is a handler's.
 */
export class Listener {
  readonly #keys = new Set<string>();
  readonly #kept: RecoveringChannel;
  #queue: { channel: Channel; name: string } | undefined;

  /**
   * @param onOpen runs whenever hearing (again) begins: what was missed meanwhile must be asked for
   * @param mayTell whether a message comes from one who may say so; by default the service that the event belongs to.
   *   Asked only where every service has a login of its own
   */
  constructor(
    private readonly connection: BrokerConnection,
    private readonly hear: (message: Incoming) => void,
    private readonly onOpen: () => void = () => {},
    private readonly mayTell: (message: Incoming) => boolean = isFromOwner,
  ) {
    this.#kept = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      async (channel) => {
        const name = queues.hearing(connection.login, randomUUIDv7());
        const { queue } = await channel.assertQueue(name, { exclusive: true, autoDelete: true });
        this.#queue = { channel, name: queue };
        for (const key of this.#keys) await this.#bind(channel, queue, key);
        await channel.consume(
          queue,
          // The broker cancels the consumer of a queue that is deleted, and says so with null.
          (message) => (message ? this.#receive(message) : this.#kept.replace(channel, 0)),
          { noAck: true },
        );
        this.onOpen();
      },
    );
  }

  /** False while what passes is missed. */
  get isOpen(): boolean {
    return this.#kept.current !== undefined;
  }

  #receive(message: Parameters<typeof decode>[0]): void {
    if (message.content.length > largestHeard) return this.connection.refuseStranger('soft state');
    try {
      const incoming = decode(message, this.connection);
      // What a queue has handed on may be old: somebody kept it.
      const isTrusted =
        this.connection.operator === undefined || (!incoming.isHandedOn && this.mayTell(incoming));
      if (isTrusted) this.hear(incoming);
      else this.connection.refuseStranger('soft state');
    } catch {
      // Soft state: a message that cannot be read is as good as one that was missed.
    }
  }

  async #bind(channel: Channel, queue: string, key: string): Promise<void> {
    await assertExchange(channel, exchanges.events(key), this.connection.operator !== undefined);
    await channel.bindQueue(queue, exchanges.events(key), key);
  }

  /** @param keys event names; behind the name of their service also `*` and `#`, as in any topic exchange */
  async open(...keys: string[]): Promise<void> {
    keys.forEach((key) => this.#keys.add(key));
    await this.#kept.open();
  }

  /** Hears some more. */
  async alsoHear(keys: Iterable<string>): Promise<void> {
    for (const key of keys) {
      if (this.#keys.has(key)) continue;
      this.#keys.add(key);
      try {
        if (this.#queue) await this.#bind(this.#queue.channel, this.#queue.name, key);
      } catch {
        // The channel is lost: the next one binds all keys.
      }
    }
  }

  close(): Promise<void> {
    return this.#kept.close();
  }
}

const isFromOwner = ({ pattern, sender }: Incoming): boolean => sender === pattern.split('.', 1)[0];
