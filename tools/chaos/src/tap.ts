import { toConnectOptions } from '@jogakbo/messaging/address';
import { connect, type Channel, type ChannelModel, type ConsumeMessage } from 'amqplib';
import { setTimeout as pause } from 'node:timers/promises';
import { type Random } from './random.ts';
import { type Store } from './store.ts';

const queue = 'chaos.tap';

interface Binding {
  source: string;
  destination: string;
  routing_key: string;
}

/**
 * Hears every event and every command that the broker is given, in its order, across the broker's death. On demand it
 * sends what it hears once more: at once, or later and in another order.
 */
export class Tap {
  /** The ids of all messages, each at its first coming. */
  readonly heard: string[] = [];
  since = Infinity;
  readonly #known = new Set<string>();
  /** The queues that take a message, by its routing key. */
  readonly #receivers = new Map<string, string[]>();
  readonly #store: Store;
  #copying: { random: Random; longest: number } | undefined;
  #copies = 0;
  #model: ChannelModel | undefined;
  #channel: Channel | undefined;
  #closed = false;
  #running: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  async open(): Promise<void> {
    const model = await connect(this.#store.brokerUrl, toConnectOptions(this.#store.brokerUrl));
    const channel = await model.createChannel();
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    const exchanges = await this.#store.manage<{ name: string }[]>('GET', 'exchanges/%2F?columns=name');
    const named = (prefix: string) =>
      exchanges.flatMap(({ name }) => (name.startsWith(prefix) ? [name] : []));
    // Events that no service takes are to reach the broker as well.
    for (const events of named('events.')) await channel.bindQueue(queue, events, '#');
    for (const binding of await this.#bindings([...named('events.'), ...named('requests.')])) {
      const { source, destination, routing_key } = binding;
      if (destination.endsWith('.commands')) await channel.bindQueue(queue, source, routing_key);
      this.#receivers.set(routing_key, [...(this.#receivers.get(routing_key) ?? []), destination]);
    }
    await model.close();
    this.since = Date.now();
    this.#running = this.#listen();
  }

  /** By which commands and events reach services. */
  async #bindings(exchanges: string[]): Promise<Binding[]> {
    const all = await Promise.all(
      exchanges.map((name) => this.#store.manage<Binding[]>('GET', `exchanges/%2F/${name}/bindings/source`)),
    );
    return all.flat().filter(({ destination }) => /^[^.]+\.(commands|events)$/.test(destination));
  }

  /** Until it is closed, on one connection after the other. */
  async #listen(): Promise<void> {
    while (!this.#closed) {
      try {
        this.#model = await connect(this.#store.brokerUrl, toConnectOptions(this.#store.brokerUrl));
        const lost = new Promise((resolve) => this.#model!.on('close', resolve).on('error', () => undefined));
        this.#channel = await this.#model.createChannel();
        this.#channel.on('error', () => undefined);
        await this.#channel.prefetch(500);
        const channel = this.#channel;
        await channel.consume(queue, (message) => {
          if (!message) return;
          this.#hear(message);
          try {
            channel.ack(message);
          } catch {
            // The connection is gone: the message comes again, and is known.
          }
        });
        if (this.#closed) await this.#model.close();
        await lost;
      } catch {
        await this.#model?.close().catch(() => undefined);
      }
      this.#channel = undefined;
      if (!this.#closed) await pause(300);
    }
  }

  #hear(message: ConsumeMessage): void {
    const { messageId } = message.properties as { messageId?: string };
    // What instances say of themselves is soft state, which nobody promised to be deaf to.
    if (!messageId || message.fields.routingKey.startsWith('instances.') || this.#known.has(messageId))
      return;
    this.#known.add(messageId);
    this.heard.push(messageId);
    if (!this.#copying) return;
    const { random, longest } = this.#copying;
    const delay = random.next() < 0.5 ? 0 : random.between(0, longest);
    if (delay === 0) this.#again(message);
    else setTimeout(() => this.#again(message), delay);
  }

  /** The same message to all its receivers, once more. */
  #again({ fields: { routingKey }, content, properties }: ConsumeMessage): void {
    const { headers, userId, ...others } = Object.fromEntries(
      Object.entries(properties).filter(([, value]) => value !== undefined),
    );
    try {
      for (const receiver of this.#receivers.get(routingKey) ?? []) {
        const [service] = receiver.split('.') as [string];
        // A service believes an operator, who sends it a message again, who sent it at first.
        const said = { ...headers, sender: userId ?? '', 'replayed-for': service };
        const again = { ...others, userId: this.#store.brokerLogin, headers: said };
        this.#channel?.publish(`dead.${service}`, receiver, content, again);
      }
      this.#copies += 1;
    } catch {
      // The broker is away: this copy is not made.
    }
  }

  /** @returns how many copies were sent */
  async copyFor(milliseconds: number, random: Random, signal: AbortSignal): Promise<number> {
    const before = this.#copies;
    this.#copying = { random, longest: milliseconds };
    await pause(milliseconds, undefined, { signal }).catch(() => undefined);
    this.#copying = undefined;
    await pause(milliseconds, undefined, { signal }).catch(() => undefined);
    return this.#copies - before;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#model?.close().catch(() => undefined);
    await this.#running;
  }
}
