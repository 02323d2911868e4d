import type { Channel } from 'amqplib';

/**
 * Every name that exists on the broker is computed here and nowhere else.
 *
 * Each receiver has exchanges of its own. The broker checks the name of an exchange on every way into it: publishing, the
 * headers CC and BCC, a binding, a dead-letter exchange, an alternate exchange. The routing key it checks on publishing
 * alone. So a login reaches the queues of those receivers that it may write to, and no others. All exchanges are topic
 * exchanges, for of those the broker checks the key as well.
 */
export const exchanges = {
  /** Requests to a service, by contract name. @param of the service, or one of its contracts */
  requests: (of: string) => `requests.${getOwner(of)}`,
  /** Events of a service, by contract name; also what instances send to each other. @param of the service, or an event */
  events: (of: string) => `events.${getOwner(of)}`,
  /** Answers to a login, by its reply key. */
  replies: (login: string) => `replies.${login}`,
  /** Messages of a service that wait for their next attempt, by retry delay and the queue they go to then. */
  retry: (service: string) => `retry.${service}`,
  /** Messages that left a queue of a service, by the queue they go to next, perhaps behind the retry delay. */
  dead: (service: string) => `dead.${service}`,
};

/** The service that a contract belongs to. */
export const getOwner = (contract: string): string => contract.split('.', 1)[0]!;

/** How long a message that failed waits before its next attempt, in milliseconds, one delay an attempt. */
export const defaultLadder: readonly number[] = [500, 2_000, 10_000, 60_000, 300_000];

/** What is for one version of a service only; without a version, for all. */
const of = (name: string, version: string | undefined) =>
  version === undefined ? name : `${name}@${version}`;

export const queues = {
  commands: (service: string, version?: string) => of(`${service}.commands`, version),
  events: (service: string) => `${service}.events`,
  queries: (service: string, version?: string) => of(`${service}.queries`, version),
  dead: (service: string) => `${service}.dead`,
  /** Of one service, for messages that wait that long for their next attempt. */
  retry: (service: string, milliseconds: number) => `retry.${service}.${milliseconds}ms`,
  /** Of one connection, for answers. Its name is its key: a stock Nest server answers by the queue's name. */
  reply: (login: string, id: string) => `reply.${login}.${id}`,
  /** Of one listener, for what it hears as it passes. */
  hearing: (login: string, id: string) => `hearing.${login}.${id}`,
};

/** The stream in which the deploy step keeps what services may do. They may read it, and nothing else. */
export const grantsStream = 'grants';

/** The routing key of a request, for one version of its service or for all. */
export const requestKey = (name: string, version?: string): string => of(name, version);

/** With this key a message waits for so many milliseconds, and then goes to the queue. */
export const retryKey = (milliseconds: number, queue: string): string => `${milliseconds}.${queue}`;
/** The keys that the exchange `dead` brings to a queue: its own, also behind a retry delay. */
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

/** What the deploy step declares is not on the broker, and this login may not declare it. */
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
          ...durable(exchanges.dead(service), queues.commands(service)).arguments,
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
        '(jogakbo start, or jogakbo logins), which declares it.',
      { cause: error },
    );
  }
}

/** Who declares what a service needs, and how long its messages wait between attempts. */
export interface Declaring {
  /** In milliseconds, one delay an attempt. */
  ladder: readonly number[];
  /** True where the deploy step declared exchanges and retry queues, and this login may not: then they are looked for. */
  isGiven: boolean;
}

/**
 * Declares where messages of a service wait for their next attempt, and where they go from there. Idempotent.
 * @throws TopologyMismatch where something of the same name exists with other properties
 * @throws TopologyMissing where it is given and yet not there
 */
export async function assertRetries(
  channel: Channel,
  service: string,
  { ladder, isGiven }: Declaring,
): Promise<void> {
  const [retry, dead] = [exchanges.retry(service), exchanges.dead(service)];
  await Promise.all([retry, dead].map((name) => assertExchange(channel, name, isGiven)));
  await Promise.all(
    ladder.map(async (delay) => {
      const queue = queues.retry(service, delay);
      if (isGiven) return found(`queue ${queue}`, channel.checkQueue(queue));
      const options = durable(dead);
      // An expired message keeps its routing key, which ends with the queue it failed in: `dead` takes it back there.
      const withTtl = { ...options, arguments: { ...options.arguments, 'x-message-ttl': delay } };
      await explained(`queue ${queue}`, channel.assertQueue(queue, withTtl));
      await channel.bindQueue(queue, retry, retryKey(delay, '#'));
    }),
  );
}

/**
 * Declares the queue of a service for commands or events, and binds it to what comes again. Idempotent.
 * @throws TopologyMismatch where a queue of the same name exists with other arguments
 */
export async function assertWorkQueue(
  channel: Channel,
  service: string,
  kind: 'commands' | 'events',
): Promise<void> {
  const queue = queues[kind](service);
  const options = durable(exchanges.dead(service), queues.dead(service));
  const withLimit = { ...options, arguments: { ...options.arguments, 'x-delivery-limit': deliveryLimit } };
  await explained(`queue ${queue}`, channel.assertQueue(queue, withLimit));
  await bind(channel, queue, exchanges.dead(service), returnKeys(queue));
}

/**
 * Declares the queues of one service and binds what it subscribes to. Idempotent.
 * @throws TopologyMismatch where something of the same name exists with other properties
 * @throws TopologyMissing where something is given and yet not there
 */
export async function assertService(
  channel: Channel,
  service: string,
  { commands, queries, events }: Subscriptions,
  declaring: Declaring,
): Promise<void> {
  const { isGiven } = declaring;
  const [requests, dead] = [exchanges.requests(service), queues.dead(service)];
  const hasWork = commands.length + events.length > 0;
  const sources = new Set(events.map((name) => exchanges.events(name)));
  if (commands.length + queries.length > 0) sources.add(requests);
  await Promise.all([
    ...[...sources, exchanges.dead(service)].map((name) => assertExchange(channel, name, isGiven)),
    hasWork && assertRetries(channel, service, declaring),
  ]);
  await assertQueue(dead, { 'x-queue-type': 'quorum', 'x-delivery-limit': endlessDeliveries });
  await bind(channel, dead, exchanges.dead(service), [dead]);
  await Promise.all([
    commands.length > 0 &&
      assertWorkQueue(channel, service, 'commands').then(() =>
        bind(channel, queues.commands(service), requests, commands),
      ),
    events.length > 0 && assertWorkQueue(channel, service, 'events').then(bindEvents),
    // Questions are worth nothing after their deadline: they live in memory and leave with it.
    queries.length > 0 &&
      assertQueue(queues.queries(service), { 'x-queue-type': 'classic' }).then(({ queue }) =>
        bind(channel, queue, requests, queries),
      ),
  ]);

  function assertQueue(queue: string, arguments_: Record<string, unknown>) {
    return explained(`queue ${queue}`, channel.assertQueue(queue, { durable: true, arguments: arguments_ }));
  }

  async function bindEvents(): Promise<void> {
    const queue = queues.events(service);
    await Promise.all(events.map((name) => channel.bindQueue(queue, exchanges.events(name), name)));
  }
}

async function bind(channel: Channel, queue: string, exchange: string, keys: string[]): Promise<void> {
  await Promise.all(keys.map((key) => channel.bindQueue(queue, exchange, key)));
}
