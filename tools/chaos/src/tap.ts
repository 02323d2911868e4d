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
 * Receives every event and command in broker order, also across restarts of the broker. On demand, it publishes each
 * message a second time: at once, or later and in another order.
 */
export class Tap {
  /** The ids of all messages, in the order of their first delivery. */
  readonly heard: string[] = [];
  since = Infinity;
  readonly #knownIds = new Set<string>();
  /** The queues that receive a message, by its routing key. */
  readonly #receivers = new Map<string, string[]>();
  readonly #store: Store;
  #copying: { random: Random; maxDelayMs: number } | undefined;
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
    const exchanges = await this.#store.callManagementApi<{ name: string }[]>(
      'GET',
      'exchanges/%2F?columns=name',
    );
    const filterByPrefix = (prefix: string) =>
      exchanges.flatMap(({ name }) => (name.startsWith(prefix) ? [name] : []));
    // Includes events without a subscriber.
    for (const events of filterByPrefix('events.')) await channel.bindQueue(queue, events, '#');
    for (const binding of await this.#listBindings([
      ...filterByPrefix('events.'),
      ...filterByPrefix('requests.'),
    ])) {
      const { source, destination, routing_key } = binding;
      if (destination.endsWith('.commands')) await channel.bindQueue(queue, source, routing_key);
      this.#receivers.set(routing_key, [...(this.#receivers.get(routing_key) ?? []), destination]);
    }
    await model.close();
    this.since = Date.now();
    this.#running = this.#consume();
  }

  /** Lists the bindings of the command and event queues of services. */
  async #listBindings(exchanges: string[]): Promise<Binding[]> {
    const all = await Promise.all(
      exchanges.map((name) =>
        this.#store.callManagementApi<Binding[]>('GET', `exchanges/%2F/${name}/bindings/source`),
      ),
    );
    return all.flat().filter(({ destination }) => /^[^.]+\.(commands|events)$/.test(destination));
  }

  /** Reconnects until the tap is closed. */
  async #consume(): Promise<void> {
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
          this.#receive(message);
          try {
            channel.ack(message);
          } catch {
            // The connection is closed: the broker redelivers the message, and #receive ignores it.
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

  #receive(message: ConsumeMessage): void {
    const { messageId } = message.properties as { messageId?: string };
    // Events about instances are soft state, and not deduplicated.
    if (!messageId || message.fields.routingKey.startsWith('instances.') || this.#knownIds.has(messageId))
      return;
    this.#knownIds.add(messageId);
    this.heard.push(messageId);
    if (!this.#copying) return;
    const { random, maxDelayMs } = this.#copying;
    const delayMs = random.next() < 0.5 ? 0 : random.between(0, maxDelayMs);
    if (delayMs === 0) this.#publishAgain(message);
    else setTimeout(() => this.#publishAgain(message), delayMs);
  }

  /** Publishes the same message to all its receivers. */
  #publishAgain({ fields: { routingKey }, content, properties }: ConsumeMessage): void {
    const channel = this.#channel;
    if (!channel) return;
    const { headers, userId, ...others } = Object.fromEntries(
      Object.entries(properties).filter(([, value]) => value !== undefined),
    );
    try {
      for (const receiver of this.#receivers.get(routingKey) ?? []) {
        const [service] = receiver.split('.') as [string];
        // Services accept the original sender in this header from an operator only.
        const copyHeaders = { ...headers, sender: userId ?? '', 'replayed-for': service };
        const options = { ...others, userId: this.#store.brokerLogin, headers: copyHeaders };
        channel.publish(`dead.${service}`, receiver, content, options);
      }
      this.#copies += 1;
    } catch {
      // The connection is closed: skip this copy.
    }
  }

  /** @returns how many copies were sent */
  async copyFor(milliseconds: number, random: Random, signal: AbortSignal): Promise<number> {
    const before = this.#copies;
    this.#copying = { random, maxDelayMs: milliseconds };
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
