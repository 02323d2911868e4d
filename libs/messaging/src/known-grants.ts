import { setTimeout as sleep } from 'node:timers/promises';
import type { Announcement } from '@jogakbo/contract';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';
import { consumeGrants, grantsIn } from './grants-stream.ts';
import { Grants } from './grants.ts';
import { TopologyMissing } from './topology.ts';

/** How long a start waits for them, in milliseconds: a broker that has just started needs some seconds for a stream. */
const startPatience = 20_000;
const retryEvery = 250;

/**
 * What the deploy step registered, as it stands now: it changes while services run. Where services have no logins of
 * their own (`enforced` is false) senders cannot be told apart, and everything is allowed.
 */
export class KnownGrants {
  #current = new Grants([]);
  readonly #kept: RecoveringChannel;
  readonly #listeners: (() => void)[] = [];
  readonly #first = Promise.withResolvers<void>();

  constructor(private readonly connection: BrokerConnection) {
    this.#kept = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      async (channel) => {
        await consumeGrants(channel, (message) => {
          // Null: the broker cancelled the consumer. A new channel brings it back.
          if (!message) return void channel.close().catch(() => {});
          const services = grantsIn(message, connection.operator!);
          if (!services) return this.connection.refuseStranger('grants');
          this.#current = new Grants(services);
          this.#first.resolve();
          for (const listener of this.#listeners) listener();
        });
      },
    );
  }

  get enforced(): boolean {
    return this.connection.operator !== undefined;
  }

  get current(): Grants {
    return this.#current;
  }

  /** The queues that an instance says it had to make, with what its service may take and nothing else. */
  believed({ service, madeQueues }: Announcement): Announcement['madeQueues'] {
    if (!this.enforced) return madeQueues;
    const isTaken = (name: string) => name.startsWith(`${service}.`) || this.#current.mayHear(service, name);
    return madeQueues.map((made) => ({ ...made, takes: made.takes.filter(isTaken) }));
  }

  /** Runs after every change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Waits until they are known. @throws TopologyMissing where the deploy step has not run */
  async open(): Promise<this> {
    if (!this.enforced) return this;
    const until = Date.now() + startPatience;
    for (;;) {
      try {
        await this.#kept.open();
        break;
      } catch (error) {
        if (Date.now() > until) throw missing(error as Error);
        await sleep(retryEvery);
      }
    }
    const late = sleep(Math.max(retryEvery, until - Date.now()), 'late', { ref: false });
    if ((await Promise.race([this.#first.promise, late])) === 'late') throw missing();
    return this;
  }

  close(): Promise<void> {
    return this.#kept.close();
  }
}

const missing = (cause?: Error): TopologyMissing =>
  new TopologyMissing(
    'What services may do is not on the broker. What to do: run the deploy step again (jogakbo start, or jogakbo ' +
      'logins), which registers every service.',
    { cause },
  );
