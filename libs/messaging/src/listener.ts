import { randomUUIDv7 } from 'node:crypto';
import { Logger } from '@nestjs/common';
import type { Channel } from 'amqplib';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';
import { maxSoftStateBytes } from './soft-state.ts';
import { assertExchange, exchanges, queues, TopologyMissing } from './topology.ts';
import { decode, type Incoming } from './decoding.ts';

/**
 * Subscribes to events with an exclusive queue: at most once, and messages are lost while it is disconnected. For soft
 * state only (live instances, outcomes for waiting clients); events that must not be missed need a handler.
 */
export class Listener {
  /** Event names of `open`: without them the listener does not open. */
  readonly #required = new Set<string>();
  /** Event names of `subscribe`. */
  readonly #optional = new Set<string>();
  /** The optional ones that are bound to the current queue, or are being bound. */
  readonly #bound = new Set<string>();
  /** Why optional ones were refused, as logged. */
  readonly #refused = new Map<string, string>();
  readonly #channel: RecoveringChannel;
  readonly #logger = new Logger('Listener');
  #queue: { channel: Channel; name: string } | undefined;

  /**
   * @param receive runs for every message whose pattern in the body is a subscribed event name
   * @param onOpen runs after every (re)subscription: state that was missed meanwhile must be requested again
   * @param isAllowed whether the sender may publish the message; by default only the service that owns the event. Called
   *   only if every service has a login of its own
   */
  constructor(
    private readonly connection: BrokerConnection,
    private readonly receive: (message: Incoming) => void,
    private readonly onOpen: () => void = () => {},
    private readonly isAllowed: (message: Incoming) => boolean = isFromOwner,
  ) {
    this.#channel = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      async (channel) => {
        const name = queues.listener(connection.login, randomUUIDv7());
        const { queue } = await channel.assertQueue(name, { exclusive: true, autoDelete: true });
        this.#queue = { channel, name: queue };
        for (const key of this.#required) await this.#bind(channel, queue, key);
        this.#bound.clear();
        for (const key of this.#optional) await this.#bindOptional(key);
        await channel.consume(
          queue,
          // Null: the broker cancelled the consumer because the queue was deleted.
          (message) => (message ? this.#receive(message) : void channel.close().catch(() => {})),
          { noAck: true },
        );
        this.onOpen();
      },
    );
  }

  /** False while messages are missed. */
  get isOpen(): boolean {
    return this.#channel.current !== undefined;
  }

  #receive(message: Parameters<typeof decode>[0]): void {
    if (message.content.length > maxSoftStateBytes) return this.connection.reportRefusedMessage('soft state');
    try {
      const incoming = decode(message, this.connection);
      // A dead-lettered message may be old.
      const isTrusted =
        !this.connection.hasLoginPerService ||
        (!incoming.wasDeadLetteredElsewhere && this.isAllowed(incoming));
      // The pattern is part of the body: the sender chooses it independently of the routing key.
      if (isTrusted && this.#isSubscribed(incoming.pattern)) this.receive(incoming);
      else this.connection.reportRefusedMessage('soft state');
    } catch {
      // Soft state: an unreadable message counts as missed.
    }
  }

  #isSubscribed(pattern: string): boolean {
    if (this.#required.has(pattern) || this.#optional.has(pattern)) return true;
    return [...this.#required, ...this.#optional].some((name) => matchesWildcard(name, pattern));
  }

  async #bind(channel: Channel, queue: string, key: string): Promise<void> {
    await assertExchange(channel, exchanges.events(key), this.connection.hasLoginPerService);
    await channel.bindQueue(queue, exchanges.events(key), key);
  }

  /** @param keys event names; after the service name also the wildcards `*` and `#` of topic exchanges */
  async open(...keys: string[]): Promise<void> {
    keys.forEach((key) => this.#required.add(key));
    await this.#channel.open();
  }

  /**
   * Adds event names to the subscription. If the broker refuses one it is logged once, and the others are not affected.
   * Another call tries it again, and so does every reconnect.
   */
  async subscribe(keys: Iterable<string>): Promise<void> {
    for (const key of keys) {
      if (this.#required.has(key) || this.#bound.has(key)) continue;
      this.#optional.add(key);
      await this.#bindOptional(key);
    }
  }

  /** Never throws. */
  async #bindOptional(key: string): Promise<void> {
    this.#bound.add(key);
    try {
      await this.#bindApart(key);
      this.#refused.delete(key);
    } catch (error) {
      this.#bound.delete(key);
      const { message } = error as Error;
      // Otherwise the connection was lost, and the next channel binds all names.
      if (!(error instanceof TopologyMissing) && !message.includes('ACCESS_REFUSED')) return;
      if (this.#refused.get(key) !== message) this.#logger.error(`cannot subscribe to ${key}: ${message}`);
      this.#refused.set(key, message);
    }
  }

  /** On a channel of its own, because the broker closes a channel whose operation it refuses. */
  async #bindApart(key: string): Promise<void> {
    const { model } = this.connection;
    if (!this.#queue || !model) return;
    const channel = await model.createChannel();
    channel.on('error', () => {}); // thrown below
    await this.#bind(channel, this.#queue.name, key);
    await channel.close();
  }

  close(): Promise<void> {
    return this.#channel.close();
  }
}

const isFromOwner = ({ pattern, sender }: Incoming): boolean => sender === pattern.split('.', 1)[0];

/** Whether a name with wildcards of topic exchanges (`*`: one word, `#`: any number of words) matches an event name. */
function matchesWildcard(name: string, event: string): boolean {
  if (!/[*#]/.test(name)) return false;
  const toPattern = (word: string): string =>
    word === '*' ? '[^.]+' : word === '#' ? '.+' : word.replaceAll(/[^\w-]/g, '\\$&');
  return new RegExp(`^${name.split('.').map(toPattern).join('\\.')}$`).test(event);
}
