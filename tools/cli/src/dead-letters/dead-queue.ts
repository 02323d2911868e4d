import { setTimeout as pause } from 'node:timers/promises';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { queues } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel, type ConfirmChannel, type Message } from 'amqplib';
import { toDeadLetter, buildResendHeaders, assignKeys, type DeadLetter } from './dead-letter.ts';
import { readRetryDelays } from '../backing/rabbitmq/retry-delays.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';

/** Maximum number of letters read at once. */
export const maxLetters = 10_000;

/** Without a confirm within this time, the message counts as not sent. */
const confirmTimeoutMs = 5_000;

/** Maximum wait until the broker counts requeued messages again. */
const requeueTimeoutMs = 5_000;

/** The message that a letter is published as. */
interface OutgoingMessage {
  exchange: string;
  routingKey: string;
  content: Buffer;
  /** Selects from the headers of `buildResendHeaders`. */
  headers?: (all: Record<string, unknown>) => Record<string, unknown>;
}

/**
 * The dead letters of one service, consumed exclusively and unacknowledged while this is open. Letters that are neither
 * moved nor discarded are requeued in their order, even if this process crashes.
 */
export class DeadQueue {
  readonly service: string;
  readonly letters: DeadLetter[] = [];
  /** The number of letters beyond `maxLetters`, which are not among `letters`. */
  unread = 0;
  private readonly connection: ChannelModel;
  private readonly channel: ConfirmChannel;
  /** The login of this connection. */
  private readonly login: string;
  readonly #returned = new Set<string>();
  #removed = 0;

  private constructor(service: string, connection: ChannelModel, channel: ConfirmChannel, login: string) {
    this.service = service;
    this.login = login;
    this.connection = connection;
    this.channel = channel;
    channel.on('return', ({ properties }: Message) => this.#returned.add(properties.messageId as string));
  }

  /** Undefined if the service has no dead-letter queue. @throws CliError while another consumer holds it */
  static async open(
    connection: ChannelModel,
    service: string,
    login: string,
  ): Promise<DeadQueue | undefined> {
    let reason = '';
    for (const until = Date.now() + 5_000; Date.now() < until; await pause(250)) {
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => {});
      try {
        const { messageCount, consumerCount } = await channel.checkQueue(queues.dead(service));
        // The broker does not count the letters that another command holds.
        if (consumerCount === 0) {
          const self = new DeadQueue(service, connection, channel, login);
          self.unread = Math.max(0, messageCount - maxLetters);
          if (messageCount > 0) await self.#consume(Math.min(messageCount, maxLetters));
          assignKeys(self.letters);
          return self;
        }
        reason = `${queues.dead(service)} has another consumer`;
        await channel.close();
      } catch (error) {
        reason = toMessage(error);
        if (/NOT.FOUND/.test(reason)) return undefined;
        if (!/ACCESS.REFUSED/.test(reason)) throw error;
      }
    }
    throw new CliError(`Another command is using the dead letters of ${service}.`, {
      details: [reason],
      remedies: ['wait until the other command has ended, and try again'],
    });
  }

  async #consume(count: number): Promise<void> {
    await this.channel.prefetch(count);
    let quiet: NodeJS.Timeout | undefined;
    const isRead = new Promise<void>((resolve, reject) => {
      // Fewer messages may arrive than were counted. After 3 s without a message, the queue counts as read.
      quiet = setTimeout(resolve, 3_000);
      // A refused consume emits `error` with the broker's reason, and then `close`; a lost connection only `close`.
      this.channel.once('error', reject);
      this.channel.once('close', () => reject(new Error('the connection to the broker was lost')));
      this.channel
        .consume(
          queues.dead(this.service),
          (message) => {
            if (!message) return reject(new Error(`${queues.dead(this.service)} was deleted`));
            this.letters.push(toDeadLetter(this.service, message, this.login));
            if (this.letters.length === count) resolve();
            else quiet!.refresh();
          },
          { exclusive: true },
        )
        .catch(reject);
    });
    await isRead.finally(() => clearTimeout(quiet));
  }

  /**
   * Publishes the message with the same id, and acknowledges it in this queue after the confirm. After a crash in between
   * it is in both queues.
   * @throws CliError if it is unroutable or not confirmed; it then stays in this queue
   */
  async move(
    letter: DeadLetter,
    { exchange, routingKey, content, headers = (all) => all }: OutgoingMessage,
  ): Promise<void> {
    const { messageId, contentType, ...others } = letter.message.properties;
    // In the dead-letter queue it keeps all properties, including those of a request.
    const kept = routingKey === queues.dead(this.service) ? others : {};
    const options = {
      ...kept,
      messageId,
      contentType,
      persistent: true,
      mandatory: true,
      userId: this.login,
      headers: headers(buildResendHeaders(letter, this.login)),
    };
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        const seconds = confirmTimeoutMs / 1_000;
        reject(
          new CliError(
            `The broker did not confirm ${letter.id} within ${seconds} s. It stays in the dead-letter queue.`,
          ),
        );
      }, confirmTimeoutMs);
      this.channel.publish(exchange, routingKey, content, options, (error) => {
        clearTimeout(timer);
        if (error) reject(error as Error);
        else resolve();
      });
    });
    // The broker sends basic.return before the confirm.
    if (this.#returned.delete(messageId as string)) {
      throw new CliError(`No queue is bound for ${routingKey}. The message stays in the dead-letter queue.`, {
        remedies: [`start ${this.service}, which declares its queues, and try again`],
      });
    }
    this.discard(letter);
  }

  discard(letter: DeadLetter): void {
    this.channel.ack(letter.message);
    this.#removed += 1;
  }

  /** Requeues the remaining letters, and waits until the broker counts them again. */
  async close(): Promise<void> {
    const remaining = this.letters.length - this.#removed;
    try {
      await this.channel.close();
      const channel = await this.connection.createChannel();
      channel.on('error', () => {});
      for (const until = Date.now() + requeueTimeoutMs; Date.now() < until; await pause(20)) {
        if ((await channel.checkQueue(queues.dead(this.service))).messageCount >= remaining) break;
      }
      await channel.close();
    } catch {
      // The connection is lost: the broker requeues all unacknowledged messages.
    }
  }
}

/** Says of which services not all letters were read. Empty if all were read. */
export const describeUnread = (queues: readonly DeadQueue[]): string[] =>
  queues
    .filter(({ unread }) => unread > 0)
    .map(
      ({ service, unread }) =>
        `Only the first ${maxLetters} dead letters of ${service} were read; ${unread} were not.`,
    );

/** Failed messages waiting for their next attempt. */
export interface Waiting {
  milliseconds: number;
  count: number;
}

/** Counts the waiting messages per retry delay. They are not consumed, because requeueing would restart their delay. */
async function countWaitingMessages(
  connection: ChannelModel,
  services: readonly string[],
): Promise<Waiting[]> {
  const each = await Promise.all(
    readRetryDelays().map(async (milliseconds) => {
      const names = services.map((service) => queues.retry(service, milliseconds));
      const counts = await Promise.all(names.map((name) => countMessages(connection, name)));
      return { milliseconds, count: counts.reduce((sum, count) => sum + count, 0) };
    }),
  );
  return each.filter(({ count }) => count > 0);
}

/** Zero if the queue does not exist: a service without commands and events has no retry queue. */
async function countMessages(connection: ChannelModel, queue: string): Promise<number> {
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  try {
    const { messageCount } = await channel.checkQueue(queue);
    await channel.close();
    return messageCount;
  } catch {
    return 0; // the broker has closed the channel
  }
}

/** Holds the dead letters of these services during `work`. */
export async function withDeadQueues<T>(
  url: string,
  services: readonly string[],
  work: (queues: DeadQueue[], waiting: Waiting[]) => Promise<T>,
): Promise<T> {
  const connection = await connect(url, {
    ...toConnectOptions(url),
    noDelay: true,
    clientProperties: { connection_name: 'jogakbo dead' },
  }).catch((error: unknown) => {
    throw new CliError(`The broker cannot be reached: ${toMessage(error)}.`, {
      remedies: ['npx jogakbo ps', 'npx jogakbo doctor'],
    });
  });
  connection.on('error', () => {});
  const open: DeadQueue[] = [];
  try {
    for (const service of services) {
      const queue = await DeadQueue.open(
        connection,
        service,
        decodeURIComponent(new URL(url).username) || 'guest',
      );
      if (queue) open.push(queue);
    }
    return await work(open, await countWaitingMessages(connection, services));
  } finally {
    for (const queue of open) await queue.close();
    await connection.close().catch(() => {});
  }
}
