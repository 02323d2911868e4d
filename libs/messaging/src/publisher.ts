import type { ConfirmChannel, Message, Options } from 'amqplib';
import { BrokerUnavailable, RecoveringChannel, within, type BrokerConnection } from './connection.ts';
import { assertExchange } from './topology.ts';

/** No queue is bound where the message was sent: nobody runs that would take it. */
export class Unroutable extends Error {
  override readonly name = 'Unroutable';
}

export interface Outgoing {
  exchange: string;
  routingKey: string;
  content: Buffer;
  /** `messageId` is demanded: a returned message is recognised by it. */
  options: Options.Publish & { messageId: string };
}

/** A quorum queue that has just lost its leader may forget what it was handed, and then never confirms it. */
const confirmPatience = 5_000;

/** Publishes with confirms: a promise that is kept means that the broker has the message on its disks. */
export class Publisher {
  readonly #kept: RecoveringChannel<ConfirmChannel>;
  readonly #returned = new Set<string>();
  #drained: Promise<unknown> | undefined;
  /** Exchanges that are known to exist: to publish to a missing one would cost the channel. */
  readonly #declared = new Set<string>();
  readonly #declaring = new Map<string, Promise<void>>();

  /** @param connection whose login every message carries as its sender: the broker lets nobody take another's */
  constructor(private readonly connection: BrokerConnection) {
    this.#kept = new RecoveringChannel<ConfirmChannel>(
      connection,
      (model) => model.createConfirmChannel(),
      async (channel) => {
        this.#drained = undefined;
        this.#declared.clear();
        this.#declaring.clear();
        channel.on('return', (message: Message) =>
          this.#returned.add(message.properties.messageId as string),
        );
      },
    );
  }

  get ready(): boolean {
    return this.#kept.current !== undefined;
  }

  async open(): Promise<void> {
    await this.#kept.open();
  }

  /**
   * Sends one message and waits for the broker's confirm.
   * @throws BrokerUnavailable when the broker is away, refuses, is lost before it confirms (it may have the message), or
   *   does not confirm within five seconds
   * @throws Unroutable when `options.mandatory` is set and no queue takes it
   */
  async publish({ exchange, routingKey, content, options }: Outgoing): Promise<void> {
    await within(confirmPatience, this.#drained);
    const channel = this.#kept.current;
    if (!channel) throw new BrokerUnavailable('the broker is out of reach');
    if (this.#isToBeDeclared(exchange)) await this.#declare(channel, exchange);
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        // The others that are under way may still be confirmed; what is sent from now on takes a new channel.
        this.#kept.replace(channel, confirmPatience);
        reject(new BrokerUnavailable('not confirmed in time'));
      }, confirmPatience);
      const confirmed = (error: Error | null) => {
        clearTimeout(late);
        // The broker sends the return before the confirm.
        const returned = this.#returned.delete(options.messageId);
        if (error) reject(new BrokerUnavailable(`not confirmed: ${error.message}`));
        else if (returned) reject(new Unroutable(`nobody takes ${routingKey}`));
        else resolve();
      };
      try {
        const headers = withoutCopies(options.headers as Record<string, unknown> | undefined);
        const signed = { ...options, headers, userId: this.connection.login };
        const more = channel.publish(exchange, routingKey, content, signed, confirmed);
        if (!more && !this.#drained) this.#drained = drained(channel).then(() => (this.#drained = undefined));
      } catch (error) {
        confirmed(error as Error); // the channel is closing
      }
    });
  }

  /** Where services have logins of their own the deploy step has declared it. The default exchange always exists. */
  #isToBeDeclared(exchange: string): boolean {
    return this.connection.operator === undefined && exchange !== '' && !this.#declared.has(exchange);
  }

  /** Once for all messages that wait for it. @throws BrokerUnavailable also where that takes too long */
  #declare(channel: ConfirmChannel, exchange: string): Promise<void> {
    let declaring = this.#declaring.get(exchange);
    if (!declaring) {
      declaring = within(confirmPatience, assertExchange(channel, exchange)).then(
        () => void this.#declared.add(exchange),
        (error: Error) => {
          this.#kept.replace(channel, confirmPatience);
          throw new BrokerUnavailable(`not confirmed: ${error.message}`);
        },
      );
      this.#declaring.set(exchange, declaring);
    }
    return declaring;
  }

  async close(): Promise<void> {
    await this.#kept.close();
  }
}

/** Headers that send a message to others as well: who sends on what somebody else sent must not do that in his own name. */
function withoutCopies(headers: Record<string, unknown> = {}): Record<string, unknown> {
  if (!('CC' in headers) && !('BCC' in headers)) return headers;
  const { CC: _, BCC: __, ...rest } = headers;
  return rest;
}

/** `false` from `publish` says: taken, but buffered. The next one waits for this, so that the buffer stays bounded. */
function drained(channel: ConfirmChannel): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      channel.off('drain', done).off('close', done);
      resolve();
    };
    channel.on('drain', done).on('close', done);
  });
}
