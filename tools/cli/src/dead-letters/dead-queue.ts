import { setTimeout as pause } from 'node:timers/promises';
import { toConnectOptions } from '@jogakbo/messaging/address';
import { defaultLadder, queues } from '@jogakbo/messaging/topology';
import { connect, type ChannelModel, type ConfirmChannel, type Message } from 'amqplib';
import { toDeadLetter, headersFromOperator, nameTwins, type DeadLetter } from './dead-letter.ts';
import { CliError, toMessage } from '../terminal/cli-error.ts';

/** More than these are not looked at in one go. */
export const window = 10_000;

/** The broker confirms within this, or the message counts as not sent. */
const confirmTimeout = 5_000;

/** A busy broker shows what was given back a moment later; it is not waited for longer than this. */
const givenBackWithin = 5_000;

/** What a letter becomes on its way elsewhere. */
interface Sent {
  exchange: string;
  routingKey: string;
  content: Buffer;
  /** Of those that `headersFromOperator` gives, what travels on. */
  headers?: (kept: Record<string, unknown>) => Record<string, unknown>;
}

/**
 * The dead letters of one service, held while this is open: nobody else sees or takes them meanwhile. What is neither
 * moved nor discarded goes back to where it was, in the same order, also when this process dies.
 */
export class DeadQueue {
  readonly service: string;
  readonly letters: DeadLetter[] = [];
  private readonly connection: ChannelModel;
  private readonly channel: ConfirmChannel;
  /** Of this connection. */
  private readonly login: string;
  readonly #returned = new Set<string>();
  #gone = 0;

  private constructor(service: string, connection: ChannelModel, channel: ConfirmChannel, login: string) {
    this.service = service;
    this.login = login;
    this.connection = connection;
    this.channel = channel;
    channel.on('return', ({ properties }: Message) => this.#returned.add(properties.messageId as string));
  }

  /** Undefined where the service has no such queue. @throws Fault while somebody else works on it */
  static async open(
    connection: ChannelModel,
    service: string,
    login: string,
  ): Promise<DeadQueue | undefined> {
    for (const until = Date.now() + 5_000; ; await pause(250)) {
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => {});
      try {
        const { messageCount } = await channel.checkQueue(queues.dead(service));
        const self = new DeadQueue(service, connection, channel, login);
        if (messageCount > 0) await self.#take(Math.min(messageCount, window));
        nameTwins(self.letters);
        return self;
      } catch (error) {
        const message = toMessage(error);
        if (message.includes('NOT_FOUND') || message.includes('NOT-FOUND')) return undefined;
        if (!/ACCESS.REFUSED/.test(message)) throw error;
        if (Date.now() > until) {
          throw new CliError(`Somebody else works on the dead letters of ${service} now.`, {
            details: [message],
            remedies: ['wait until the other command has ended, and try again'],
          });
        }
      }
    }
  }

  async #take(count: number): Promise<void> {
    await this.channel.prefetch(count);
    let quiet: NodeJS.Timeout | undefined;
    const taken = new Promise<void>((resolve, reject) => {
      // Fewer may come than were counted; nothing for so long means that there is no more.
      quiet = setTimeout(resolve, 3_000);
      this.channel.on('close', () => reject(new Error('the connection to the broker was lost')));
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
    await taken.finally(() => clearTimeout(quiet));
  }

  /**
   * Sends the message, with its id, and takes it out of this queue once the broker has it: a crash in between leaves
   * it in both places, never in none.
   * @throws Fault where no queue takes it, or the broker does not confirm it; it stays here
   */
  async move(
    letter: DeadLetter,
    { exchange, routingKey, content, headers = (kept) => kept }: Sent,
  ): Promise<void> {
    const { messageId, contentType, ...others } = letter.message.properties;
    // Among the dead it stays what it was, also a request.
    const kept = routingKey === queues.dead(this.service) ? others : {};
    const options = {
      ...{ ...kept, messageId, contentType, persistent: true, mandatory: true },
      ...{ userId: this.login, headers: headers(headersFromOperator(letter, this.login)) },
    };
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        const seconds = confirmTimeout / 1_000;
        reject(
          new CliError(`The broker did not confirm ${letter.id} within ${seconds} s: it stays where it is.`),
        );
      }, confirmTimeout);
      this.channel.publish(exchange, routingKey, content, options, (error) => {
        clearTimeout(timer);
        if (error) reject(error as Error);
        else resolve();
      });
    });
    // The broker sends the return before the confirm.
    if (this.#returned.delete(messageId as string)) {
      throw new CliError(`Nothing takes what is sent to ${routingKey}: the message stays where it is.`, {
        remedies: [`start ${this.service}, which makes its queues, and try again`],
      });
    }
    this.discard(letter);
  }

  discard(letter: DeadLetter): void {
    this.channel.ack(letter.message);
    this.#gone += 1;
  }

  /** Gives back what is left, and waits until the broker shows it again: whoever looks next finds it. */
  async close(): Promise<void> {
    const left = this.letters.length - this.#gone;
    try {
      await this.channel.close();
      const channel = await this.connection.createChannel();
      channel.on('error', () => {});
      for (const until = Date.now() + givenBackWithin; Date.now() < until; await pause(20)) {
        if ((await channel.checkQueue(queues.dead(this.service))).messageCount >= left) break;
      }
      await channel.close();
    } catch {
      // The connection is lost: the broker gives back what was held.
    }
  }
}

/** Messages that failed and wait for their next attempt. */
export interface Waiting {
  milliseconds: number;
  count: number;
}

/**
 * How many wait for each retry delay. They are counted and not looked at, for that would begin their wait again.
 * @param services whose messages are counted
 */
async function waitingMessages(connection: ChannelModel, services: readonly string[]): Promise<Waiting[]> {
  const delays = process.env.RETRY_LADDER?.split(',').map(Number) ?? defaultLadder;
  const each = await Promise.all(
    delays.map(async (milliseconds) => {
      const names = services.map((service) => queues.retry(service, milliseconds));
      const counts = await Promise.all(names.map((name) => countMessages(connection, name)));
      return { milliseconds, count: counts.reduce((sum, count) => sum + count, 0) };
    }),
  );
  return each.filter(({ count }) => count > 0);
}

/** Zero where there is no such queue: a service that takes neither commands nor events has none. */
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

/** Opens the dead letters of these services one after the other for as long as `work` takes. */
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
    return await work(open, await waitingMessages(connection, services));
  } finally {
    for (const queue of open) await queue.close();
    await connection.close().catch(() => {});
  }
}
