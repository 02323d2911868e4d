import type { Channel } from 'amqplib';

/** Every name that exists on the broker is computed here and nowhere else. */
export const exchanges = {
  /** direct: requests, by contract name. */
  commands: 'commands',
  /** topic: events, by contract name; also what instances say of themselves. */
  events: 'events',
  /** direct: answers, by the caller's reply key. */
  replies: 'replies',
  /** headers: messages that wait for their next attempt, by rung. */
  retry: 'retry',
  /** direct: messages that left a queue, by the queue they go to next. */
  dead: 'dead',
} as const;

/** How long a message that failed waits before its next attempt, in milliseconds, one rung an attempt. */
export const defaultLadder: readonly number[] = [500, 2_000, 10_000, 60_000, 300_000];

export const queues = {
  commands: (service: string) => `${service}.commands`,
  events: (service: string) => `${service}.events`,
  queries: (service: string) => `${service}.queries`,
  dead: (service: string) => `${service}.dead`,
  rung: (milliseconds: number) => `retry.${milliseconds}ms`,
};

/** A quorum queue gives a message back this often after its consumer died, then it is dead-lettered. */
const deliveryLimit = 20;

const durable = (deadLetterExchange: string, deadLetterKey?: string) => ({
  durable: true,
  arguments: {
    'x-queue-type': 'quorum',
    'x-dead-letter-exchange': deadLetterExchange,
    ...(deadLetterKey && { 'x-dead-letter-routing-key': deadLetterKey }),
    // Without both of these a dead letter can be lost between two queues.
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  },
});

/** What one service consumes: names of contracts, by kind. */
export interface Subscriptions {
  commands: string[];
  queries: string[];
  events: string[];
}

/**
 * Declares the exchanges and the retry ladder that all services share. Idempotent.
 * @throws Error that names what differs, where something of the same name exists with other properties
 */
export async function assertShared(channel: Channel, ladder: readonly number[]): Promise<void> {
  await Promise.all([
    channel.assertExchange(exchanges.commands, 'direct'),
    channel.assertExchange(exchanges.events, 'topic'),
    channel.assertExchange(exchanges.replies, 'direct'),
    channel.assertExchange(exchanges.retry, 'headers'),
    channel.assertExchange(exchanges.dead, 'direct'),
  ]);
  await Promise.all(
    ladder.map(async (delay) => {
      const queue = queues.rung(delay);
      const options = durable(exchanges.dead);
      // An expired message keeps its routing key, which is the queue it failed in: `dead` takes it back there.
      await channel.assertQueue(queue, {
        ...options,
        arguments: { ...options.arguments, 'x-message-ttl': delay },
      });
      await channel.bindQueue(queue, exchanges.retry, '', { 'x-match': 'all', rung: String(delay) });
    }),
  );
}

/** Declares the queues of one service and binds what it subscribes to. Idempotent. */
export async function assertService(channel: Channel, service: string, wanted: Subscriptions): Promise<void> {
  await channel.assertQueue(queues.dead(service), { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.bindQueue(queues.dead(service), exchanges.dead, queues.dead(service));
  await Promise.all([
    declare(queues.commands(service), exchanges.commands, wanted.commands),
    declare(queues.events(service), exchanges.events, wanted.events),
    // Questions are worth nothing after their deadline: they live in memory and leave with it.
    wanted.queries.length > 0 &&
      channel
        .assertQueue(queues.queries(service), { durable: true, arguments: { 'x-queue-type': 'classic' } })
        .then(({ queue }) => bind(queue, exchanges.commands, wanted.queries)),
  ]);

  async function declare(queue: string, exchange: string, keys: string[]): Promise<void> {
    if (keys.length === 0) return;
    await channel.assertQueue(queue, {
      ...durable(exchanges.dead, queues.dead(service)),
      arguments: {
        ...durable(exchanges.dead, queues.dead(service)).arguments,
        'x-delivery-limit': deliveryLimit,
      },
    });
    await channel.bindQueue(queue, exchanges.dead, queue);
    await bind(queue, exchange, keys);
  }

  async function bind(queue: string, exchange: string, keys: string[]): Promise<void> {
    await Promise.all(keys.map((key) => channel.bindQueue(queue, exchange, key)));
  }
}
