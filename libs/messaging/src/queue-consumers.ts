import type { Channel, ConsumeMessage } from 'amqplib';
import { RecoveringChannel, within, type BrokerConnection } from './connection.ts';
import type { QueueRecord } from './queue-record.ts';
import type { ConsumedQueue, ServerOptions } from './server-options.ts';
import { assertService, assertVersion, defaultRetryDelays, queues, type HandledNames } from './topology.ts';

const defaultPrefetch = 64;
const cancelTimeoutMs = 1_000;
/** Milliseconds for messages in progress on a channel that is replaced because the broker does not end its consumer. */
const replaceGraceMs = 5_000;

/** For the check whether a queue exists. Consumers share it: a check without an end would stop all of them for ever. */
const checkTimeoutMs = 5_000;

/** Queues whose messages are sent again after their queue was lost. */
const recordedKinds = ['commands', 'events'] as const;

type Options = Pick<
  ServerOptions,
  'connection' | 'service' | 'retryDelays' | 'queueRecord' | 'prefetch' | 'concurrency'
>;

/** Messages of a queue that no consumer has received yet. */
export interface WaitingMessages {
  queue: string;
  messages: number;
}

interface ActiveConsumer {
  channel: Channel;
  tag: string;
  prefetch: number;
}

/** Consumes queues of a service, each on a channel of its own, which also declares all queues of the service. */
export class QueueConsumers {
  readonly #channels = new Map<string, RecoveringChannel>();
  /** The queues that are being consumed at the moment. */
  readonly #active = new Map<string, ActiveConsumer>();
  readonly #inProgress = new Set<Promise<void>>();
  /** The check for missing queues that is under way: consumers that open together share it. */
  #recording: Promise<void> | undefined;
  #measuring: Promise<WaitingMessages[]> | undefined;
  #draining = false;

  /**
   * @param subscriptions what the service consumes
   * @param receive settles a message; never rejects
   */
  constructor(
    private readonly options: Options,
    private readonly subscriptions: HandledNames,
    private readonly receive: (
      channel: Channel,
      source: ConsumedQueue,
      message: ConsumeMessage,
    ) => Promise<void>,
  ) {}

  /** True while every queue of the service is being consumed. */
  get ready(): boolean {
    return this.#active.size === this.#channels.size && this.#channels.size > 0;
  }

  /**
   * The messages that wait in each consumed queue. Empty while the broker does not answer: a queue without a leader does not
   * respond, and must not hold up a consumer.
   */
  measure(): Promise<WaitingMessages[]> {
    return (this.#measuring ??= within(checkTimeoutMs, this.#readCounts())
      .catch(() => [])
      .finally(() => (this.#measuring = undefined)));
  }

  async #readCounts(): Promise<WaitingMessages[]> {
    const channel = await this.options.connection.model!.createChannel();
    channel.on('error', () => {});
    const counts: WaitingMessages[] = [];
    try {
      for (const queue of this.#active.keys())
        counts.push({ queue, messages: (await channel.checkQueue(queue)).messageCount });
    } finally {
      void channel.close().catch(() => {});
    }
    return counts;
  }

  has(queue: string): boolean {
    return this.#channels.has(queue);
  }

  /** Consumes a queue, also after its channel was lost. Idempotent. @throws the error of the first declaration */
  async add(source: ConsumedQueue): Promise<void> {
    const { queue } = source;
    if (this.#channels.has(queue) || this.#draining) return;
    const recovering = new RecoveringChannel(
      this.options.connection,
      (model) => model.createChannel(),
      (channel) => this.#consume(channel, source),
    );
    this.#channels.set(queue, recovering);
    try {
      await recovering.open();
    } catch (error) {
      this.#channels.delete(queue);
      throw error;
    }
  }

  /** Stops consuming a queue; messages in progress are completed. */
  remove(queue: string): void {
    const recovering = this.#channels.get(queue);
    const consuming = this.#active.get(queue);
    this.#channels.delete(queue);
    this.#active.delete(queue);
    if (consuming)
      void cancel(consuming)
        .then(() => Promise.all(this.#inProgress))
        .then(() => recovering?.close());
    else void recovering?.close();
  }

  async #consume(channel: Channel, source: ConsumedQueue): Promise<void> {
    if (this.#draining) return;
    const { queue } = source;
    await this.#declare(channel, source);
    channel.on('close', () => {
      if (this.#active.get(queue)?.channel === channel) this.#active.delete(queue);
    });
    this.#active.set(queue, await this.#startConsumer(channel, source));
    await this.#confirmQueues();
  }

  /**
   * Every consumer declares all queues, so it also confirms those that it does not consume: during a traffic split another
   * instance may consume a queue that this one has recorded and declared.
   */
  async #confirmQueues(): Promise<void> {
    const { queueRecord, service } = this.options;
    for (const kind of recordedKinds)
      if (this.subscriptions[kind].length > 0) await queueRecord?.confirmRecreated(queues[kind](service));
  }

  async #startConsumer(channel: Channel, source: ConsumedQueue): Promise<ActiveConsumer> {
    const prefetch = this.#computePrefetch(source.kind);
    await channel.prefetch(prefetch);
    const { consumerTag } = await channel.consume(source.queue, (message) => {
      // Null: the broker cancelled the consumer. A new channel brings it back.
      if (!message) return void channel.close().catch(() => {});
      const work = this.receive(channel, source, message);
      this.#inProgress.add(work);
      void work.finally(() => this.#inProgress.delete(work));
      void this.#followConcurrency(source);
    });
    return { channel, tag: consumerTag, prefetch };
  }

  /** Twice the limit for queries, because queries must be consumed to be refused. */
  #computePrefetch(kind: ConsumedQueue['kind']): number {
    const { prefetch = defaultPrefetch, concurrency } = this.options;
    return kind === 'queries' && concurrency ? 2 * concurrency() : prefetch;
  }

  /** The prefetch of a consumer cannot change: after a change of the limit a new consumer replaces it. */
  async #followConcurrency(source: ConsumedQueue): Promise<void> {
    const old = this.#active.get(source.queue);
    const wanted = this.#computePrefetch(source.kind);
    if (!old || old.prefetch === wanted) return;
    old.prefetch = wanted; // one replacement at a time
    try {
      const started = await this.#startConsumer(old.channel, source);
      const isWanted = this.#active.get(source.queue) === old && !this.#draining;
      if (isWanted) this.#active.set(source.queue, started);
      const isEnded = await cancel(isWanted ? old : started);
      // Else both consumers would stay attached.
      if (!isEnded) this.#channels.get(source.queue)?.replace(old.channel, replaceGraceMs);
    } catch {
      // The channel was lost: the next one has the new prefetch.
    }
  }

  async #declare(channel: Channel, { kind, version }: ConsumedQueue): Promise<void> {
    const { connection, service, retryDelays = defaultRetryDelays, queueRecord } = this.options;
    if (queueRecord) await (this.#recording ??= this.#recordMissingQueues(queueRecord));
    const isPredeclared = connection.hasLoginPerService;
    await assertService(channel, service, this.subscriptions, { retryDelays, isPredeclared });
    if (version && kind !== 'events') await assertVersion(channel, service, kind, version);
  }

  /** Every consumer declares all queues of the service: it must first record which of them are missing. */
  async #recordMissingQueues(record: QueueRecord): Promise<void> {
    const { connection, service } = this.options;
    try {
      for (const kind of recordedKinds) {
        const takes = this.subscriptions[kind];
        const queue = queues[kind](service);
        if (takes.length > 0 && !(await within(checkTimeoutMs, hasQueue(connection, queue))))
          await record.recordMissing(queue, takes);
      }
    } finally {
      this.#recording = undefined;
    }
  }

  /** Opens no more consumers. The messages in progress continue. */
  stopOpening(): void {
    this.#draining = true;
  }

  /** Completes the messages in progress, for at most so many milliseconds, and closes the channels. */
  async close(timeoutMs: number): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#active.values()].map(cancel));
    await within(timeoutMs, Promise.all(this.#inProgress)).catch(() => {});
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()));
  }
}

/** Ends a consumer. @returns false if the broker did not confirm that in time, or the channel was lost */
function cancel({ channel, tag }: ActiveConsumer): Promise<boolean> {
  return within(cancelTimeoutMs, channel.cancel(tag)).then(
    () => true,
    () => false,
  );
}

/** Uses a channel of its own, because the broker closes it if the queue is missing. */
async function hasQueue({ model }: BrokerConnection, queue: string): Promise<boolean> {
  const channel = await model!.createChannel();
  channel.on('error', () => {});
  const found = await channel.checkQueue(queue).then(
    () => true,
    (error: Error) => {
      if (!error.message.includes('NOT_FOUND')) throw error;
      return false;
    },
  );
  if (found) await channel.close();
  return found;
}
