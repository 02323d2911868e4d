import { setTimeout as sleep } from 'node:timers/promises';
import type { Announcement } from '@jogakbo/contract';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';
import { consumeGrants, parseGrants } from './grants-stream.ts';
import { Grants } from './grants.ts';
import { TopologyMissing } from './topology.ts';

/** Milliseconds that a start waits for the grants: a broker that has just started needs some seconds for a stream. */
const startTimeoutMs = 20_000;
const retryIntervalMs = 250;

/**
 * The current grants that the deploy step registered; they change while services run. If all services share one login
 * (`hasLoginPerService` is false) senders cannot be distinguished, and everything is allowed.
 */
export class KnownGrants {
  #current = new Grants([]);
  readonly #channel: RecoveringChannel;
  readonly #listeners: (() => void)[] = [];
  readonly #first = Promise.withResolvers<void>();

  constructor(private readonly connection: BrokerConnection) {
    this.#channel = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      async (channel) => {
        await consumeGrants(channel, (message) => {
          // Null: the broker cancelled the consumer. A new channel brings it back.
          if (!message) return void channel.close().catch(() => {});
          const services = parseGrants(message, connection.operator!);
          if (!services) return this.connection.reportRefusedMessage('grants');
          this.#current = new Grants(services);
          this.#first.resolve();
          for (const listener of this.#listeners) listener();
        });
      },
    );
  }

  get hasLoginPerService(): boolean {
    return this.connection.hasLoginPerService;
  }

  get current(): Grants {
    return this.#current;
  }

  /** The queues that an instance reports as recreated, limited to contracts that its service may consume. */
  filterRecreatedQueues({ service, madeQueues }: Announcement): Announcement['madeQueues'] {
    if (!this.hasLoginPerService) return madeQueues;
    const isAllowed = (name: string) =>
      name.startsWith(`${service}.`) || this.#current.maySubscribe(service, name);
    return madeQueues.map((made) => ({ ...made, takes: made.takes.filter(isAllowed) }));
  }

  /** Runs after every change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Waits until the grants are known. @throws TopologyMissing if the deploy step has not run */
  async open(): Promise<this> {
    if (!this.hasLoginPerService) return this;
    const until = Date.now() + startTimeoutMs;
    for (;;) {
      try {
        await this.#channel.open();
        break;
      } catch (error) {
        if (Date.now() > until) throw createMissingError(error as Error);
        await sleep(retryIntervalMs);
      }
    }
    const late = sleep(Math.max(retryIntervalMs, until - Date.now()), 'late', { ref: false });
    if ((await Promise.race([this.#first.promise, late])) === 'late') throw createMissingError();
    return this;
  }

  close(): Promise<void> {
    return this.#channel.close();
  }
}

const createMissingError = (cause?: Error): TopologyMissing =>
  new TopologyMissing(
    'The broker has no grants of the services. What to do: run the deploy step again (jogakbo start, or jogakbo ' +
      'logins), which registers every service.',
    { cause },
  );
