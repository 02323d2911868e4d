import type { Channel } from 'amqplib';

/**
 * All names on the broker are computed here.
 *
 * Each receiver has exchanges of its own. The broker checks permissions on an exchange name for every way into it:
 * publishing, the headers CC and BCC, bindings, dead-letter and alternate exchanges. It checks routing keys only for
 * publishing and binding to topic exchanges, so all exchanges have that type. A login thus reaches only the queues of
 * receivers that it may write to.
 */
export const exchanges = {
  /** Requests to a service, by contract name. @param of the service, or one of its contracts: `getServiceName` finds the service */
  requests: (of: string) => `requests.${getServiceName(of)}`,
  /** Events of a service, by contract name; also `instanceEvents`. @param of the service, or an event */
  events: (of: string) => `events.${getServiceName(of)}`,
  /** Answers to a login, by the name of its reply queue. */
  replies: (login: string) => `replies.${login}`,
  /** Messages of a service that wait for a retry, by delay and destination queue. */
  retry: (service: string) => `retry.${service}`,
  /**
   * Two uses, by routing key: to the dead-letter queue of a service; and back to one of its work queues, after a retry delay
   * or the end of a version (`returnKeys`).
   */
  dead: (service: string) => `dead.${service}`,
};

/** The service that a contract belongs to. */
export const getServiceName = (contract: string): string => contract.split('.', 1)[0]!;

/** Retry delays of failed messages, in milliseconds, one per retry. */
export const defaultRetryDelays: readonly number[] = [500, 2_000, 10_000, 60_000, 300_000];

/** Appends the version, if any: such a name is for one version of a service only. */
const addVersion = (name: string, version: string | undefined) =>
  version === undefined ? name : `${name}@${version}`;

export const queues = {
  commands: (service: string, version?: string) => addVersion(`${service}.commands`, version),
  events: (service: string) => `${service}.events`,
  queries: (service: string, version?: string) => addVersion(`${service}.queries`, version),
  dead: (service: string) => `${service}.dead`,
  /** For messages of one service that wait for a retry with this delay. */
  retry: (service: string, milliseconds: number) => `retry.${service}.${milliseconds}ms`,
  /** For answers to one connection. Its routing key is its name: a stock Nest server sends answers to the queue's name. */
  reply: (login: string, id: string) => `reply.${login}.${id}`,
  /** For the events of one `Listener`: exclusive, because soft state is useless to a later connection. */
  listener: (login: string, id: string) => `hearing.${login}.${id}`,
};

/** The stream with the grants that the deploy step registers. Services may only read it. */
export const grantsStream = 'grants';

/** The routing key of a request, for one version of its service or for all. */
export const requestKey = (name: string, version?: string): string => addVersion(name, version);

/** The routing key of a message that goes to the queue after so many milliseconds. */
export const retryKey = (milliseconds: number, queue: string): string => `${milliseconds}.${queue}`;
/** The keys that the exchange `dead` routes to a queue: its name, with or without a retry delay. */
export const returnKeys = (queue: string): string[] => [queue, `*.${queue}`];

/** The service that registers outside services, and may announce their instances. */
export const registryService = 'registry';
/** Announcements and heartbeats of instances, and the roll call that requests announcements. */
export const instanceEvents = {
  announced: 'instances.announced',
  heartbeat: 'instances.beat',
  rollCall: 'instances.roll-call',
} as const;

/**
 * A quorum queue redelivers a message this often, then dead-letters it. It counts deliveries whose consumer died, and
 * before RabbitMQ 4.3 also those that the consumer returned: see `planRequeue`.
 */
const deliveryLimit = 20;

/**
 * Delivery limit of dead-letter queues: listing dead letters delivers and requeues each of them. RabbitMQ 4 would drop
 * them after its default limit of 20, and 3.10 does not support -1 for no limit. A limit also keeps their order: a quorum
 * queue requeues messages at its head only if it has a limit.
 */
const endlessDeliveries = 2_000_000_000;

/** A queue or exchange of this name exists on the broker with other properties. */
export class TopologyMismatch extends Error {
  override readonly name = 'TopologyMismatch';
}

/** A queue or exchange of the deploy step is missing on the broker, and this login may not declare it. */
export class TopologyMissing extends Error {
  override readonly name = 'TopologyMissing';
}

/** @throws TopologyMismatch with the difference and the remedy */
async function declareOrExplain<T>(what: string, declaration: Promise<T>): Promise<T> {
  try {
    return await declaration;
  } catch (error) {
    const { message } = error as Error;
    if (!message.includes('PRECONDITION_FAILED') && !message.includes('PRECONDITION-FAILED')) throw error;
    const difference = /inequivalent arg[^"]*/.exec(message)?.[0] ?? message;
    const kind = what.startsWith('exchange') ? 'exchange' : 'queue';
    throw new TopologyMismatch(
      `The ${what} exists on the broker with other properties: ${difference}. The broker cannot change them. ` +
        `What to do: wait until its messages are handled or move them, delete the ${kind} ` +
        '(management page, or rabbitmqctl), and start again: it is declared again.',
      { cause: error },
    );
  }
}

const toDurableOptions = (deadLetterExchange: string, deadLetterKey?: string) => ({
  durable: true,
  arguments: {
    'x-queue-type': 'quorum',
    'x-dead-letter-exchange': deadLetterExchange,
    ...(deadLetterKey && { 'x-dead-letter-routing-key': deadLetterKey }),
    // Without both of these arguments a dead-lettered message can be lost between two queues.
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  },
});

/** A command that waited so many milliseconds for its version goes to the others. A query expires at its deadline. */
const versionTtlMs = 5_000;
/** An unused queue of a version is deleted after so many milliseconds, long after its messages have expired. */
const versionQueueExpiresMs = 20_000;

/**
 * Declares the queue of one version for commands or queries, without bindings. Idempotent. Commands without a consumer go
 * back to the queue of all versions, and an unused queue expires.
 * @returns the numbers of its consumers and messages
 * @throws TopologyMismatch if a queue of the same name exists with other arguments
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
          ...toDurableOptions(exchanges.dead(service), queues.commands(service)).arguments,
          'x-delivery-limit': deliveryLimit,
          'x-message-ttl': versionTtlMs,
        }),
    'x-expires': versionQueueExpiresMs,
  };
  return declareOrExplain(
    `queue ${queue}`,
    channel.assertQueue(queue, { durable: true, arguments: arguments_ }),
  );
}

/** Whether a rejected message of this queue returns to the common queue (`assertVersion`): it is rejected again there. */
export const returnsToCommonQueue = (queue: { kind: string; version?: string | undefined }): boolean =>
  queue.kind === 'commands' && queue.version !== undefined;

/** The names of the contracts that one service consumes, by kind. */
export interface HandledNames {
  commands: string[];
  queries: string[];
  events: string[];
}

/**
 * Declares an exchange. Idempotent.
 * @param isPredeclared true if only the deploy step may declare it: then its existence is checked
 * @throws TopologyMismatch if one of the same name exists with another type
 * @throws TopologyMissing if `isPredeclared` and it is missing
 */
export async function assertExchange(channel: Channel, name: string, isPredeclared = false): Promise<void> {
  if (isPredeclared) await checkOrExplain(`exchange ${name}`, channel.checkExchange(name));
  else await declareOrExplain(`exchange ${name}`, channel.assertExchange(name, 'topic'));
}

async function checkOrExplain(what: string, check: Promise<unknown>): Promise<void> {
  try {
    await check;
  } catch (error) {
    if (!/NOT.FOUND/.test((error as Error).message)) throw error;
    throw new TopologyMissing(
      `The ${what} is missing on the broker, and this login may not declare it. What to do: run the deploy step again ` +
        '(jogakbo start, or jogakbo logins), which declares it.',
      { cause: error },
    );
  }
}

/** Options for the declaration of retry queues. */
export interface Declaring {
  /** In milliseconds, one delay per retry. */
  retryDelays: readonly number[];
  /**
   * True if only the deploy step may declare exchanges and retry queues: then their existence is checked. Services set it
   * to `BrokerConnection.hasLoginPerService`, the deploy step to false.
   */
  isPredeclared: boolean;
}

/**
 * Declares the retry queues of a service, and its exchanges `retry.<service>` and `dead.<service>`. Idempotent.
 * @throws TopologyMismatch if an object of the same name exists with other properties
 * @throws TopologyMissing if `isPredeclared` and one is missing
 */
export async function assertRetries(
  channel: Channel,
  service: string,
  { retryDelays, isPredeclared }: Declaring,
): Promise<void> {
  const [retry, dead] = [exchanges.retry(service), exchanges.dead(service)];
  await Promise.all([retry, dead].map((name) => assertExchange(channel, name, isPredeclared)));
  await Promise.all(
    retryDelays.map(async (delay) => {
      const queue = queues.retry(service, delay);
      if (isPredeclared) return checkOrExplain(`queue ${queue}`, channel.checkQueue(queue));
      const options = toDurableOptions(dead);
      // An expired message keeps its routing key, which ends with the queue it failed in: `dead` routes it there.
      const withTtl = { ...options, arguments: { ...options.arguments, 'x-message-ttl': delay } };
      await declareOrExplain(`queue ${queue}`, channel.assertQueue(queue, withTtl));
      await channel.bindQueue(queue, retry, retryKey(delay, '#'));
    }),
  );
}

/**
 * Declares the queue of a service for commands or events, and binds it for retries. Idempotent.
 * @throws TopologyMismatch if a queue of the same name exists with other arguments
 */
export async function assertWorkQueue(
  channel: Channel,
  service: string,
  kind: 'commands' | 'events',
): Promise<void> {
  const queue = queues[kind](service);
  const options = toDurableOptions(exchanges.dead(service), queues.dead(service));
  const withLimit = { ...options, arguments: { ...options.arguments, 'x-delivery-limit': deliveryLimit } };
  await declareOrExplain(`queue ${queue}`, channel.assertQueue(queue, withLimit));
  await bind(channel, queue, exchanges.dead(service), returnKeys(queue));
}

/**
 * Declares the queues of one service and binds what it subscribes to. Idempotent. Every consumer runs it on each new
 * channel, because the loss of a channel may be the deletion of any of these queues.
 * @throws TopologyMismatch if an object of the same name exists with other properties
 * @throws TopologyMissing if `isPredeclared` and an object is missing
 */
export async function assertService(
  channel: Channel,
  service: string,
  { commands, queries, events }: HandledNames,
  declaring: Declaring,
): Promise<void> {
  const { isPredeclared } = declaring;
  const [requests, dead] = [exchanges.requests(service), queues.dead(service)];
  const hasWork = commands.length + events.length > 0;
  const sources = new Set(events.map((name) => exchanges.events(name)));
  if (commands.length + queries.length > 0) sources.add(requests);
  await Promise.all([
    ...[...sources, exchanges.dead(service)].map((name) => assertExchange(channel, name, isPredeclared)),
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
    // Queries are useless after their deadline: the queue keeps them in memory and does not survive the broker.
    queries.length > 0 &&
      assertQueue(queues.queries(service), { 'x-queue-type': 'classic' }).then(({ queue }) =>
        bind(channel, queue, requests, queries),
      ),
  ]);

  function assertQueue(queue: string, arguments_: Record<string, unknown>) {
    return declareOrExplain(
      `queue ${queue}`,
      channel.assertQueue(queue, { durable: true, arguments: arguments_ }),
    );
  }

  async function bindEvents(): Promise<void> {
    const queue = queues.events(service);
    await Promise.all(events.map((name) => channel.bindQueue(queue, exchanges.events(name), name)));
  }
}

async function bind(channel: Channel, queue: string, exchange: string, keys: string[]): Promise<void> {
  await Promise.all(keys.map((key) => channel.bindQueue(queue, exchange, key)));
}
