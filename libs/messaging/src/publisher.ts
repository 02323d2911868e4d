import type { ConfirmChannel, Message, Options } from 'amqplib';
import { BrokerUnavailable, KeptChannel, type BrokerConnection } from './connection.ts';

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

/** Publishes with confirms: a promise that is kept means that the broker has the message on its disks. */
export class Publisher {
  readonly #kept: KeptChannel<ConfirmChannel>;
  readonly #returned = new Set<string>();
  #drained: Promise<void> | undefined;

  constructor(connection: BrokerConnection) {
    this.#kept = new KeptChannel<ConfirmChannel>(
      connection,
      (model) => model.createConfirmChannel(),
      async (channel) => {
        this.#drained = undefined;
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
   * @throws BrokerUnavailable when the broker is away, refuses, or is lost before it confirms (it may have the message)
   * @throws Unroutable when `options.mandatory` is set and no queue takes it
   */
  async publish({ exchange, routingKey, content, options }: Outgoing): Promise<void> {
    await this.#drained;
    const channel = this.#kept.current;
    if (!channel) throw new BrokerUnavailable('the broker is out of reach');
    await new Promise<void>((resolve, reject) => {
      const more = channel.publish(exchange, routingKey, content, options, (error) => {
        // The broker sends the return before the confirm.
        const returned = this.#returned.delete(options.messageId);
        if (error) reject(new BrokerUnavailable(`not confirmed: ${(error as Error).message}`));
        else if (returned) reject(new Unroutable(`nobody takes ${routingKey}`));
        else resolve();
      });
      // `false` says: taken, but buffered. The next one waits, so that the buffer stays bounded.
      if (!more && !this.#drained) {
        this.#drained = new Promise((drained) => {
          const done = () => {
            channel.off('drain', done).off('close', done);
            this.#drained = undefined;
            drained();
          };
          channel.on('drain', done).on('close', done);
        });
      }
    });
  }

  async close(): Promise<void> {
    await this.#kept.close();
  }
}
