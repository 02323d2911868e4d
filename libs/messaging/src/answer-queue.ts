import { randomUUIDv7 } from 'node:crypto';
import type { Channel, ConsumeMessage } from 'amqplib';
import { decodeAnswers } from './answer-encoding.ts';
import type { CallEncryption } from './call-encryption.ts';
import { RecoveringChannel, type BrokerConnection } from './connection.ts';
import { BrokerDisconnected, RemoteFault } from './faults.ts';
import { assertExchange, exchanges, queues } from './topology.ts';

/** A call that waits for its answer. */
interface PendingCall {
  /** Only this service may answer. */
  callee: string;
  /** The name of the request, if its answer must be encrypted. */
  encryptedAs: string | undefined;
  resolve(response: unknown): void;
  reject(error: unknown): void;
}

/**
 * The exclusive queue for the answers to a client (AMQP: `reply-to`), and the calls that wait for them. No call waits after
 * a disconnect.
 */
export class AnswerQueue {
  readonly #pending = new Map<string, PendingCall>();
  readonly #channel: RecoveringChannel;
  #name = '';

  constructor(
    private readonly connection: BrokerConnection,
    private readonly encryption: CallEncryption,
  ) {
    this.#channel = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      (channel) => this.#consume(channel),
    );
  }

  /** The name of the queue, for `reply-to`. It changes with every channel. */
  get name(): string {
    return this.#name;
  }

  get ready(): boolean {
    return this.#channel.current !== undefined;
  }

  open(): Promise<void> {
    return this.#channel.open();
  }

  /**
   * Waits for the answer to a request.
   * @param id the id of the request
   * @param send sends it, after the call has been registered
   * @throws Rejection or RemoteFault of the callee, RemoteFault `timeout`, BrokerDisconnected, or the error of `fail`
   */
  async wait(
    id: string,
    { name, callee, isEncrypted }: { name: string; callee: string; isEncrypted: boolean },
    timeoutMs: number,
    send: () => void,
  ): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { callee, encryptedAs: isEncrypted ? name : undefined, resolve, reject });
        const late = () => reject(new RemoteFault('timeout', `${name} did not answer in time`));
        timer = setTimeout(late, timeoutMs);
        send();
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  /** Ends a call with an error, for example because its request could not be published. */
  fail(id: string, error: unknown): void {
    this.#pending.get(id)?.reject(error);
  }

  async #consume(channel: Channel): Promise<void> {
    const { login, hasLoginPerService } = this.connection;
    const exchange = exchanges.replies(login);
    await assertExchange(channel, exchange, hasLoginPerService);
    // A new name each time: the broker may still hold the exclusive queue of the previous connection.
    this.#name = queues.reply(login, randomUUIDv7());
    const { queue } = await channel.assertQueue(this.#name, { exclusive: true, autoDelete: true });
    await channel.bindQueue(queue, exchange, queue);
    channel.on('close', () => this.#failAll());
    await channel.consume(
      queue,
      (message) => (message ? this.#receive(message) : void channel.close().catch(() => {})),
      { noAck: true },
    );
  }

  #failAll(): void {
    const message = 'the connection to the broker was lost; the request may have been executed';
    for (const { reject } of this.#pending.values()) reject(new BrokerDisconnected(message));
  }

  #receive(message: ConsumeMessage): void {
    const { hasLoginPerService } = this.connection;
    for (const { id, response, error } of parseAnswers(message)) {
      const pending = this.#pending.get(id);
      if (!pending) continue; // its caller has timed out
      // The request stays pending: its callee may still answer.
      if (hasLoginPerService && message.properties.userId !== pending.callee)
        this.connection.reportRefusedMessage('answer');
      else if (error) pending.reject(error);
      else if (pending.encryptedAs === undefined) pending.resolve(response);
      else void this.encryption.decrypt(pending.encryptedAs, response).then(pending.resolve, pending.reject);
    }
  }

  close(): Promise<void> {
    return this.#channel.close();
  }
}

/** Returns no answers if they cannot be parsed: their callers time out, other callers are not affected. */
function parseAnswers(message: ConsumeMessage): ReturnType<typeof decodeAnswers> {
  try {
    return decodeAnswers(message);
  } catch {
    return [];
  }
}
