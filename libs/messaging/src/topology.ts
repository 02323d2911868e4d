import type { Channel } from 'amqplib';

/**
 * Every name that exists on the broker is computed here and nowhere else. All exchanges are topic exchanges, for of
 * those the broker checks who may use which key.
 */
export const exchanges = {
  /** Requests, by contract name. */
  commands: 'commands',
  /** Events, by contract name; also what instances say of themselves. */
  events: 'events',
  /** Answers, by the caller's reply key. */
  replies: 'replies',
  /** Messages that wait for their next attempt, by rung and the queue they go to then. */
  retry: 'retry',
  /** Messages that left a queue, by the queue they go to next, perhaps behind the rung they waited on. */
  dead: 'dead',
} as const;

/** How long a message that failed waits before its next attempt, in milliseconds, one rung an attempt. */
export const defaultLadder: readonly number[] = [500, 2_000, 10_000, 60_000, 300_000];

/** What is for one version of a service only; without a version, for all. */
const of = (name: string, version: string | undefined) =>
  version === undefined ? name : `${name}@${version}`;

export const queues = {
  commands: (service: string, version?: string) => of(`${service}.commands`, version),
  events: (service: string) => `${service}.events`,
  queries: (service: string, version?: string) => of(`${service}.queries`, version),
  dead: (service: string) => `${service}.dead`,
  rung: (milliseconds: number) => `retry.${milliseconds}ms`,
  /** Of one connection, for answers. Its name is its key: a stock Nest server answers by the queue's name. */
  reply: (login: string, id: string) => `reply.${login}.${id}`,
  /** Of one listener, for what it hears as it passes. */
  hearing: (login: string, id: string) => `hearing.${login}.${id}`,
};

/** The stream in which the deploy step keeps what services may do. They may read it, and nothing else. */
export const grantsStream = 'grants';

/** The routing key of a request, for one version of its service or for all. */
export const requestKey = (name: string, version?: string): string => of(name, version);

/** With this key a message waits on a rung of the ladder, and then goes to the queue. */
export const retryKey = (milliseconds: number, queue: string): string => `${milliseconds}.${queue}`;
/** The keys that `dead` brings to a queue: its own, also where it comes from a rung. */
export const returnKeys = (queue: string): string[] => [queue, `*.${queue}`];

/** The name of the service that registers instances of others: of those it may speak. */
export const registryService = 'registry';
/** What instances say of themselves, and what makes them say it. */
export const instanceEvents = {
  announced: 'instances.announced',
  beat: 'instances.beat',
  rollCall: 'instances.roll-call',
} as const;

/** A quorum queue gives a message back this often after its consumer died, then it is dead-lettered. */
const deliveryLimit = 20;

/**
 * Reading dead letters gives each of them out and takes it back, which counts as a delivery. RabbitMQ 4 would throw
 * them away at the 21st look (its default limit), and 3.10 knows no -1 for "no limit". A limit, and not none, also
 * keeps their order: only where there is one does a quorum queue put what was given back at its head.
 */
const endlessDeliveries = 2_000_000_000;

/** Something of this name exists on the broker and is made otherwise than this version makes it. */
export class TopologyMismatch extends Error {
  override readonly name = 'TopologyMismatch';
}

/** What all services share is not on the broker, and whoever looked may not make it. */
export class TopologyMissing extends Error {
  override readonly name = 'TopologyMissing';
}

/** @throws TopologyMismatch that says what differs and what to do */
async function explained<T>(what: string, declaration: Promise<T>): Promise<T> {
  try {
    return await declaration;
  } catch (error) {
    const { message } = error as Error;
    if (!message.includes('PRECONDITION_FAILED') && !message.includes('PRECONDITION-FAILED')) throw error;
    const difference = /inequivalent arg[^"]*/.exec(message)?.[0] ?? message;
    const kind = what.startsWith('exchange') ? 'exchange' : 'queue';
    throw new TopologyMismatch(
      `The ${what} exists on the broker and is made otherwise: ${difference}. The broker cannot change it. ` +
        `What to do: let what is in it be worked off or move it away, delete the ${kind} ` +
        '(management page, or rabbitmqctl), and start again: it is made anew.',
      { cause: error },
    );
  }
}

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

/** A request that waited so long for its version, in milliseconds, goes to the others. */
const versionPatience = 5_000;
/** The queue of a version that nobody looks after any more leaves after so long, in milliseconds: long after it is empty. */
const versionQueueStays = 20_000;

/**
 * Declares the queue of one version for commands or queries. Idempotent. It takes nothing before it is bound. What
 * nobody takes from it goes back to the queue of all versions, and then the queue goes.
 * @returns how many consume it, and how many messages wait in it
 * @throws TopologyMismatch where a queue of the same name exists with other arguments
 */
export async function assertVersion(
  channel: Channel,
  service: string,
  kind: 'commands' | 'queries',
  version: string,
): Promise<{ consumerCount: number; messageCount: number }> {
  const queue = queues[kind](service, version);
  const arguments_ = {
    ...(kind === 'queries'
      ? { 'x-queue-type': 'classic' }
      : {
          ...durable(exchanges.dead, queues.commands(service)).arguments,
          'x-delivery-limit': deliveryLimit,
          'x-message-ttl': versionPatience,
        }),
    'x-expires': versionQueueStays,
  };
  return explained(`queue ${queue}`, channel.assertQueue(queue, { durable: true, arguments: arguments_ }));
}

/** What one service consumes: names of contracts, by kind. */
export interface Subscriptions {
  commands: string[];
  queries: string[];
  events: string[];
}

/**
 * Declares an exchange. Idempotent.
 * @param isGiven true where the deploy step made it and this login may not: then it is only looked for
 * @throws TopologyMismatch where one of the same name exists with another type
 * @throws TopologyMissing where it is given and yet not there
 */
export async function assertExchange(channel: Channel, name: string, isGiven = false): Promise<void> {
  if (isGiven) await found(`exchange ${name}`, channel.checkExchange(name));
  else await explained(`exchange ${name}`, channel.assertExchange(name, 'topic'));
}

async function found(what: string, check: Promise<unknown>): Promise<void> {
  try {
    await check;
  } catch (error) {
    if (!/NOT.FOUND/.test((error as Error).message)) throw error;
    throw new TopologyMissing(
      `The ${what} is not on the broker, and this login may not make it. What to do: run the deploy step again ` +
        '(jogakbo start, or jogakbo logins), which declares what all services share.',
      { cause: error },
    );
  }
}

/**
 * Declares the exchanges and the retry ladder that all services share. Idempotent.
 * @param isGiven true where the deploy step made them and this login may not: then they are only looked for
 * @throws TopologyMismatch where something of the same name exists with other properties
 * @throws TopologyMissing where they are given and yet not there
 */
export async function assertShared(
  channel: Channel,
  ladder: readonly number[],
  isGiven = false,
): Promise<void> {
  await Promise.all(Object.values(exchanges).map((name) => assertExchange(channel, name, isGiven)));
  if (isGiven) {
    const rungs = ladder.map((delay) => queues.rung(delay));
    await Promise.all(rungs.map((queue) => found(`queue ${queue}`, channel.checkQueue(queue))));
    return;
  }
  await Promise.all(
    ladder.map(async (delay) => {
      const queue = queues.rung(delay);
      const options = durable(exchanges.dead);
      // An expired message keeps its routing key, which ends with the queue it failed in: `dead` takes it back there.
      const withTtl = { ...options, arguments: { ...options.arguments, 'x-message-ttl': delay } };
      await explained(`queue ${queue}`, channel.assertQueue(queue, withTtl));
      await channel.bindQueue(queue, exchanges.retry, retryKey(delay, '#'));
    }),
  );
}

/**
 * Declares the queues of one service and binds what it subscribes to. Idempotent.
 * @throws TopologyMismatch where a queue of the same name exists with other arguments
 */
export async function assertService(channel: Channel, service: string, wanted: Subscriptions): Promise<void> {
  const dead = queues.dead(service);
  await assertQueue(dead, { 'x-queue-type': 'quorum', 'x-delivery-limit': endlessDeliveries });
  await channel.bindQueue(dead, exchanges.dead, dead);
  await Promise.all([
    declare(queues.commands(service), exchanges.commands, wanted.commands),
    declare(queues.events(service), exchanges.events, wanted.events),
    // Questions are worth nothing after their deadline: they live in memory and leave with it.
    wanted.queries.length > 0 &&
      assertQueue(queues.queries(service), { 'x-queue-type': 'classic' }).then(({ queue }) =>
        bind(queue, exchanges.commands, wanted.queries),
      ),
  ]);

  async function declare(queue: string, exchange: string, keys: string[]): Promise<void> {
    if (keys.length === 0) return;
    const { arguments: common } = durable(exchanges.dead, dead);
    await assertQueue(queue, { ...common, 'x-delivery-limit': deliveryLimit });
    await bind(queue, exchanges.dead, returnKeys(queue));
    await bind(queue, exchange, keys);
  }

  function assertQueue(queue: string, arguments_: Record<string, unknown>) {
    return explained(`queue ${queue}`, channel.assertQueue(queue, { durable: true, arguments: arguments_ }));
  }

  async function bind(queue: string, exchange: string, keys: string[]): Promise<void> {
    await Promise.all(keys.map((key) => channel.bindQueue(queue, exchange, key)));
  }
}
