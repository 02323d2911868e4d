import type { ConfirmChannel, Message, Options } from 'amqplib';
import { BrokerUnavailable, RecoveringChannel, within, type BrokerConnection } from './connection.ts';
import { assertExchange } from './topology.ts';

/**
 * No queue is bound for the message: its receiver has never run, or its version has ended. The queues of a service that has
 * stopped stay bound; they keep its messages.
 */
export class Unroutable extends Error {
  override readonly name = 'Unroutable';
}

/**
 * The broker did not confirm this message in time, or refused it: its queue has no leader, or is full. Also if the channel
 * or the connection was lost after the message was written: the broker may have it.
 */
export class Unconfirmed extends BrokerUnavailable {}

export interface Publication {
  exchange: string;
  routingKey: string;
  content: Buffer;
  /** `messageId` is required: it identifies a returned message. */
  options: Options.Publish & { messageId: string };
}

/**
 * Milliseconds for a whole publication: room in the socket, declaration, confirm. A quorum queue that has just lost its
 * leader may never confirm a message.
 */
const confirmTimeoutMs = 5_000;
/** Of these for the confirm, at least: a late timeout replaces the channel, and all messages that wait on it are repeated. */
const minConfirmTimeoutMs = 2_000;

/** Publishes with confirms: a resolved promise means that the broker has stored the message on disk. */
export class Publisher {
  readonly #channel: RecoveringChannel<ConfirmChannel>;
  readonly #returned = new Set<string>();
  #drained: Promise<unknown> | undefined;
  /** Exchanges that exist: publishing to a missing one would close the channel. */
  readonly #declared = new Set<string>();
  readonly #declaring = new Map<string, Promise<void>>();

  /** @param connection its login is the `user-id` of every message; the broker verifies it */
  constructor(private readonly connection: BrokerConnection) {
    this.#channel = new RecoveringChannel<ConfirmChannel>(
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
    return this.#channel.current !== undefined;
  }

  async open(): Promise<void> {
    await this.#channel.open();
  }

  /**
   * Publishes one message and waits for the broker's confirm.
   * @throws BrokerUnavailable if the broker is unreachable, refuses, is lost before it confirms (it may have the message),
   *   or does not confirm in time: five seconds in all, but at least two after the message is written
   * @throws Unroutable if `options.mandatory` is set and no queue is bound for it
   */
  async publish({ exchange, routingKey, content, options }: Publication): Promise<void> {
    const until = performance.now() + confirmTimeoutMs;
    await within(confirmTimeoutMs, this.#drained).catch(throwUnavailable);
    const channel = this.#channel.current;
    if (!channel) throw new BrokerUnavailable('the connection to the broker is down');
    if (this.#needsDeclaration(exchange))
      await within(until - performance.now(), this.#declare(channel, exchange)).catch(throwUnavailable);
    const timeoutMs = Math.max(minConfirmTimeoutMs, until - performance.now());
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        // Pending messages may still be confirmed on the old channel; new ones use a new channel.
        this.#channel.replace(channel, confirmTimeoutMs);
        reject(new Unconfirmed(`not confirmed within ${Math.round(timeoutMs)} ms`));
      }, timeoutMs);
      const onConfirm = (error: Error | null) => {
        clearTimeout(late);
        // The broker sends the return before the confirm.
        const returned = this.#returned.delete(options.messageId);
        if (error) reject(new Unconfirmed(`not confirmed: ${error.message}`));
        else if (returned) reject(new Unroutable(`no queue is bound for ${routingKey}`));
        else resolve();
      };
      try {
        const headers = withoutCopies(options.headers as Record<string, unknown> | undefined);
        // Not a signature: the broker verifies `user-id`.
        const signed = { ...options, headers, userId: this.connection.login };
        const hasRoom = channel.publish(exchange, routingKey, content, signed, onConfirm);
        if (!hasRoom && !this.#drained)
          this.#drained = waitForDrain(channel).then(() => (this.#drained = undefined));
      } catch (error) {
        onConfirm(error as Error); // the channel is closing
      }
    });
  }

  /** With one login per service the deploy step has declared it. The default exchange always exists. */
  #needsDeclaration(exchange: string): boolean {
    return !this.connection.hasLoginPerService && exchange !== '' && !this.#declared.has(exchange);
  }

  /** Declares once for all waiting messages. @throws Error if that fails or takes too long */
  #declare(channel: ConfirmChannel, exchange: string): Promise<void> {
    let declaring = this.#declaring.get(exchange);
    if (!declaring) {
      declaring = within(confirmTimeoutMs, assertExchange(channel, exchange)).then(
        () => void this.#declared.add(exchange),
        (error: Error) => {
          this.#channel.replace(channel, confirmTimeoutMs);
          throw error;
        },
      );
      this.#declaring.set(exchange, declaring);
    }
    return declaring;
  }

  async close(): Promise<void> {
    await this.#channel.close();
  }
}

function throwUnavailable(error: Error): never {
  throw new BrokerUnavailable(`not confirmed: ${error.message}`);
}

/** Removes CC and BCC: a message that is published again must not go to routing keys that its original sender chose. */
function withoutCopies(headers: Record<string, unknown> = {}): Record<string, unknown> {
  if (!('CC' in headers) && !('BCC' in headers)) return headers;
  const { CC: _, BCC: __, ...rest } = headers;
  return rest;
}

/** After `publish` returned false the next message waits for this, so that the buffer stays bounded. */
function waitForDrain(channel: ConfirmChannel): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      channel.off('drain', done).off('close', done);
      resolve();
    };
    channel.on('drain', done).on('close', done);
  });
}
