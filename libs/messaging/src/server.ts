import { platformRejection, Rejection, type AnyContract } from '@jogakbo/contract';
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import type { Channel, ConsumeMessage } from 'amqplib';
import { lastValueFrom, toArray } from 'rxjs';
import { type z } from 'zod';
import { AnswerChannels } from './answer-channels.ts';
import { withCall } from './call-context.ts';
import { RecoveringChannel, within, type BrokerConnection } from './connection.ts';
import { DecryptionFailed, encryptFor, UnknownKey, type DecryptionKeys } from './encryption.ts';
import { withoutText } from './error-without-text.ts';
import { Grants } from './grants.ts';
import { mustBeAllowed, determineOrigin, senderHeader, UnauthorizedSender } from './identity.ts';
import { InOrder } from './in-order.ts';
import { Marks } from './marks.ts';
import { MessageContext } from './message-context.ts';
import type { QueueRecord } from './queue-record.ts';
import { Unroutable, type Outgoing, type Publisher } from './publisher.ts';
import { RefusalLog } from './refusal-log.ts';
import { isSensitive, NotEncrypted, RequestDecryption } from './request-decryption.ts';
import { retryOrDeadLetter } from './retry.ts';
import { ServiceKey } from './service-key.ts';
import {
  assertService,
  assertVersion,
  defaultRetryDelays,
  exchanges,
  getOwner,
  queues,
  requestKey,
  type Subscriptions,
} from './topology.ts';
import { getTraceId } from './trace-context.ts';
import { RequestBatch } from './request-batch.ts';
import { VersionQueues, type SplitAtServer } from './version-queues.ts';
import {
  toAnswerPacket,
  decodeAll,
  encodeAnswers,
  encodeRequest,
  RemoteFault,
  getSubject,
  type HandlerOutcome,
  type Incoming,
} from './wire.ts';

type Handler = (data: unknown, context: MessageContext) => Promise<unknown>;

/** Wraps every command and event, for example in a transaction. Calls `next` at most once. */
export type Middleware = (
  context: MessageContext,
  next: (context: MessageContext) => Promise<unknown>,
) => Promise<unknown>;

export interface ServerOptions {
  service: string;
  connection: BrokerConnection;
  publisher: Publisher;
  /** The service key, for marks. An instance with another key does not trust the retries of this instance. */
  key?: ServiceKey;
  /** The current grants; required if every service has a login of its own. */
  grants?: () => Grants;
  middleware?: Middleware;
  /** Decrypts data for the service. Required if it handles a sensitive contract. */
  decryption?: DecryptionKeys;
  /** Delays before each retry, in milliseconds. Must be the delays of the deploy step, if it has run. */
  retryDelays?: readonly number[];
  /** Number of commands, and of events, that are handled concurrently. */
  prefetch?: number;
  /** Number of queries that are handled concurrently, read for each query. Further queries are refused at once. */
  concurrency?: () => number;
  /** Remembers queues of commands and events that were missing: their messages are lost. */
  queueRecord?: QueueRecord;
  /** The traffic split of the service; without it calls are not split. */
  split?: SplitAtServer;
  /** Called for every handled message, in its context. */
  observe?: (handled: HandledMessage) => void;
}

type Outcome = 'ok' | 'rejection' | 'fault' | 'refused' | 'quarantined';

/** Metrics of a handled message. */
export interface HandledMessage {
  name: string;
  /** Undefined if the service has no such contract. */
  kind: 'query' | 'command' | 'event' | undefined;
  outcome: Outcome;
  seconds: number;
}

/** Too many queries are being handled. The caller may try another instance, or retry later. */
class Overloaded extends RemoteFault {
  constructor(service: string) {
    super('overloaded', `${service} is overloaded`);
  }
}

const defaultPrefetch = 64;
const noGrants = new Grants([]);

/** The fields of a request that its answer needs. */
type Request = Pick<
  Incoming,
  'replyTo' | 'sender' | 'correlationId' | 'pattern' | 'packetId' | 'readsBatches'
>;

/** An answer to be sent, and the login that sent the request. */
type PendingAnswer = Parameters<typeof encodeAnswers>[0][0] & { requester: string };

/** A queue of the service, for all versions or for one. */
interface Source {
  queue: string;
  kind: 'commands' | 'queries' | 'events';
  version?: string | undefined;
}

/**
 * Nest transport that consumes a service's three queues.
 *
 * - A message is acknowledged after its handler has completed: after the commit, and after the answer was sent.
 * - Failed events, and commands without a waiting caller, are retried with growing delays, then dead-lettered. A waiting
 *   caller receives the fault instead.
 * - Queries above the concurrency limit are refused at once.
 * - With one login per service, a message from an unauthorized sender is never handled or answered: the broker dead-letters
 *   it at once (queries are dropped).
 * - A request is never executed after its deadline. Input is validated before the handler runs, output before it is sent.
 * - Messages about the same subject are handled sequentially within an instance.
 * - During a traffic split it consumes the queues that `VersionQueues` selects.
 * - The data of a sensitive request is decrypted only on arrival: retries and dead letters stay encrypted. Unencrypted
 *   sensitive requests are refused.
 * - A service handles its own events and commands in the transaction that sends them (`dispatch`).
 */
export class RabbitServer extends Server implements CustomTransportStrategy {
  readonly #handlers = new Map<string, { contract: AnyContract; run: Handler[] }>();
  readonly #order = new InOrder();
  readonly #decryption: RequestDecryption;
  readonly #answerBatch = new RequestBatch<PendingAnswer>((to, all) => void this.#sendAnswers(to, all));
  #activeQueries = 0;
  readonly #inFlight = new Set<Promise<void>>();
  /** Under way, for all consumers that open together. */
  #recording: Promise<void> | undefined;
  readonly #consumers = new Map<string, RecoveringChannel>();
  readonly #consuming = new Map<string, { channel: Channel; tag: string }>();
  readonly #answers: AnswerChannels;
  readonly #marks: Marks;
  readonly #refusals = new RefusalLog(this.logger);
  #subscriptions: Subscriptions = { commands: [], queries: [], events: [] };
  #versions: VersionQueues | undefined;
  #draining = false;
  #hasWarnedNoAnswer = false;

  constructor(private readonly options: ServerOptions) {
    super();
    this.#decryption = new RequestDecryption(options.decryption);
    this.#answers = new AnswerChannels(options.connection);
    this.#marks = new Marks(options.key ?? ServiceKey.random());
  }

  /** Adds a handler that is not a Nest handler, such as a saga. Must be called before `listen`. */
  listenTo(contract: AnyContract, handler: Handler): void {
    const known = this.#handlers.get(contract.name);
    if (known) known.run.push(handler);
    else this.#handlers.set(contract.name, { contract, run: [handler] });
  }

  /** The handled contracts. Complete after `listen`. */
  get handled(): AnyContract[] {
    return [...this.#handlers.values()].map(({ contract }) => contract);
  }

  /** True while every queue of the service is being consumed. */
  get ready(): boolean {
    return this.#consuming.size === this.#consumers.size && this.#consumers.size > 0;
  }

  /**
   * Runs the handlers of a contract immediately, within `context`.
   * @throws Rejection `invalid` if the data does not fit the contract
   */
  async dispatch(contract: AnyContract, data: unknown, context: MessageContext): Promise<unknown> {
    const handlers = this.#handlers.get(contract.name)?.run ?? [];
    if (contract.kind !== 'event' && handlers.length === 0)
      throw new Error(`${this.options.service} has no handler for ${contract.name}`);
    const input = parse(contract.input, data);
    let answer: unknown;
    for (const handle of handlers) answer = await handle(input, context);
    return answer;
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      this.#addNestHandlers();
      this.#mustDecrypt();
      this.#subscriptions = this.#listSubscriptions();
      const { connection, service, split } = this.options;
      if (split) {
        this.#versions = new VersionQueues(split, {
          service,
          connection,
          names: this.#subscriptions,
          isConsuming: (queue) => this.#consumers.has(queue),
          consume: (kind, version) =>
            this.#addConsumer({ queue: queues[kind](service, version), kind, version }),
          stopConsuming: (queue) => this.#removeConsumer(queue),
        });
      }
      const addConsumer = (kind: Source['kind']) =>
        this.#subscriptions[kind].length > 0 && this.#addConsumer({ queue: queues[kind](service), kind });
      await Promise.all([
        addConsumer('events'),
        ...(this.#versions ? [this.#versions.open()] : [addConsumer('commands'), addConsumer('queries')]),
      ]);
      callback();
    } catch (error) {
      callback(error);
    }
  }

  #addNestHandlers(): void {
    for (const [name, handler] of this.messageHandlers as Map<string, MessageHandler>) {
      const contract = handler.extras?.['contract'] as AnyContract | undefined;
      if (!contract) throw new Error(`the handler of ${name} is not marked with @Handles(Contract)`);
      if (contract.kind !== 'event' && contract.service !== this.options.service) {
        throw new Error(`${this.options.service} cannot handle ${name}: it belongs to ${contract.service}`);
      }
      this.listenTo(contract, async (data, context) => {
        const values = this.transformToObservable(await handler(data, context)).pipe(toArray());
        const [value, ...more] = await lastValueFrom(values);
        if (more.length > 0)
          throw new Error(
            `the handler of ${name} returned a stream of ${more.length + 1} values: return one`,
          );
        return value as unknown;
      });
    }
  }

  #mustDecrypt(): void {
    const sensitive = this.handled.filter((contract) => isSensitive(contract)).map(({ name }) => name);
    if (sensitive.length > 0 && !this.options.decryption)
      throw new Error(`${sensitive.join(', ')}: a sensitive contract needs the option "decryption"`);
  }

  #listSubscriptions(): Subscriptions {
    const listNames = (kind: AnyContract['kind']) =>
      this.handled
        .filter((contract) => contract.kind === kind)
        .filter(({ kind, service }) => kind !== 'event' || service !== this.options.service)
        .map(({ name }) => name);
    return { commands: listNames('command'), queries: listNames('query'), events: listNames('event') };
  }

  /** Must be called after each change of the split. */
  updateSplit(): void {
    this.#versions?.update();
  }

  async #addConsumer(source: Source): Promise<void> {
    const { queue } = source;
    if (this.#consumers.has(queue) || this.#draining) return;
    const recovering: RecoveringChannel = new RecoveringChannel(
      this.options.connection,
      (model) => model.createChannel(),
      (channel) => this.#consume(channel, source),
    );
    this.#consumers.set(queue, recovering);
    try {
      await recovering.open();
    } catch (error) {
      this.#consumers.delete(queue);
      throw error;
    }
  }

  #removeConsumer(queue: string): void {
    const recovering = this.#consumers.get(queue);
    const consuming = this.#consuming.get(queue);
    this.#consumers.delete(queue);
    this.#consuming.delete(queue);
    if (consuming)
      void this.#cancel(consuming)
        .then(() => Promise.all(this.#inFlight))
        .then(() => recovering?.close());
    else void recovering?.close();
  }

  #cancel({ channel, tag }: { channel: Channel; tag: string }): Promise<unknown> {
    return within(1_000, channel.cancel(tag)).catch(() => {});
  }

  async #consume(channel: Channel, source: Source): Promise<void> {
    if (this.#draining) return;
    const { queue, kind, version } = source;
    const { connection, service, retryDelays = defaultRetryDelays, queueRecord } = this.options;
    if (queueRecord) await (this.#recording ??= this.#recordMissingQueues(queueRecord));
    const isPredeclared = connection.operator !== undefined;
    await assertService(channel, service, this.#subscriptions, { retryDelays, isPredeclared });
    if (version && kind !== 'events') await assertVersion(channel, service, kind, version);
    const { prefetch = defaultPrefetch, concurrency } = this.options;
    // Above the limit, because queries must be consumed to be refused.
    await channel.prefetch(kind === 'queries' && concurrency ? 2 * concurrency() : prefetch);
    channel.on('close', () => {
      if (this.#consuming.get(queue)?.channel === channel) this.#consuming.delete(queue);
    });
    const { consumerTag } = await channel.consume(queue, (message) => {
      // Null: the broker cancelled the consumer. A new channel brings it back.
      if (!message) return void channel.close().catch(() => {});
      const work = this.#receive(channel, source, message);
      this.#inFlight.add(work);
      void work.finally(() => this.#inFlight.delete(work));
    });
    this.#consuming.set(queue, { channel, tag: consumerTag });
    if (queueRecord && kind !== 'queries' && !version) await queueRecord.confirmMade(queue);
  }

  /** Every consumer declares all queues of the service: it must first record which of them are missing. */
  async #recordMissingQueues(record: QueueRecord): Promise<void> {
    const { connection, service } = this.options;
    try {
      for (const kind of ['commands', 'events'] as const) {
        const takes = this.#subscriptions[kind];
        const queue = queues[kind](service);
        if (takes.length > 0 && !(await hasQueue(connection, queue)))
          await record.recordMissing(queue, takes);
      }
    } finally {
      this.#recording = undefined;
    }
  }

  /** Never throws: each message is acknowledged or rejected exactly once, unless the channel is lost. */
  async #receive(channel: Channel, source: Source, message: ConsumeMessage): Promise<void> {
    try {
      let all: Incoming[] = [];
      try {
        all = decodeAll(message, this.options.connection, this.#marks);
        // Events are never answered, even with a reply queue: the broker may refuse the answer.
        if (source.kind === 'events') for (const incoming of all) incoming.replyTo = undefined;
        if (all.length > 1 && source.kind !== 'queries')
          throw new SyntaxError('only queries may be sent in a batch');
      } catch (error) {
        all = [];
        if (source.kind !== 'events') await this.#answerUnreadable(message, error as Error);
        await this.#settleFailure(source, message, undefined, error);
        this.#observe('unknown', 'fault', performance.now());
      }
      const trusted = all.filter((incoming) => this.#isTrusted(source, incoming));
      // The broker dead-letters it; the queue of queries drops it.
      if (all.length > 0 && trusted.length === 0) return channel.nack(message, false, false);
      // In the context of each message: every log line about it has its trace id.
      const work = (incoming: Incoming) =>
        withCall(incoming.context, () => this.#work(source, message, incoming));
      if (trusted.length === 1) await work(trusted[0]!);
      else await Promise.all(trusted.map(work));
      channel.ack(message);
    } catch (error) {
      // The message could not be published for a retry, for example without the broker: it is requeued.
      this.logger.warn(`${source.queue}: requeueing a message: ${(error as Error).message}`);
      setTimeout(() => {
        try {
          channel.nack(message, false, true);
        } catch {
          // The channel is closed: the broker redelivers the message.
        }
      }, 1_000).unref();
    }
  }

  async #work(source: Source, message: ConsumeMessage, incoming: Incoming): Promise<void> {
    const startedAt = performance.now();
    let outcome: Outcome = 'ok';
    try {
      await this.#handleOrRefuse(incoming);
    } catch (error) {
      outcome = toOutcome(error);
      await this.#settleFailure(source, message, incoming, error);
    }
    this.#observe(this.#handlers.has(incoming.pattern) ? incoming.pattern : 'unknown', outcome, startedAt);
  }

  #isQuery(pattern: string): boolean {
    return this.#handlers.get(pattern)?.contract.kind === 'query';
  }

  #observe(name: string, outcome: Outcome, startedAt: number): void {
    const kind = this.#handlers.get(name)?.contract.kind;
    this.options.observe?.({ name, kind, outcome, seconds: (performance.now() - startedAt) / 1_000 });
  }

  /** Whether the sender may send the message. Removes the member unless the gateway sent it. */
  #isTrusted({ kind, queue }: Source, incoming: Incoming): boolean {
    const { pattern, sender } = incoming;
    const { connection } = this.options;
    if (connection.operator === undefined) return true;
    const grants = this.options.grants?.() ?? noGrants;
    // A contract that only another version knows belongs to the service in its name.
    const unknown = { kind: kind === 'events' ? 'event' : 'unknown', name: pattern };
    const contract = this.#handlers.get(pattern)?.contract ?? {
      ...unknown,
      service: getOwner(pattern),
    };
    try {
      mustBeAllowed(contract, incoming, connection, grants);
    } catch (error) {
      if (!(error instanceof UnauthorizedSender)) throw error;
      connection.rejectUnauthorizedSender(contract.kind);
      this.#refusals.add(sender, { queue, reason: error.message });
      this.#observe(this.#handlers.has(pattern) ? pattern : 'unknown', 'quarantined', performance.now());
      return false;
    }
    if (sender !== undefined && grants.isGateway(sender) && !incoming.isEdited) return true;
    const { caller: _caller, address: _address, ...context } = incoming.context;
    incoming.context = context;
    return true;
  }

  async #handleOrRefuse(incoming: Incoming): Promise<void> {
    const { service, concurrency } = this.options;
    if (!this.#isQuery(incoming.pattern)) return this.#handle(incoming);
    if (concurrency && this.#activeQueries >= concurrency()) throw new Overloaded(service);
    this.#activeQueries++;
    try {
      await this.#handle(incoming);
    } finally {
      this.#activeQueries--;
    }
  }

  async #handle(incoming: Incoming): Promise<void> {
    const found = this.#handlers.get(incoming.pattern);
    if (!found) throw createUnknownPatternError(this.options.service, incoming);
    const { contract, run } = found;
    const opened = await this.#decryption.open(contract, incoming);
    const encryptAnswer = this.#decryption.createResponseEncryptor(contract, incoming);
    const input = parse(contract.input, opened.data);
    const context = new MessageContext(contract, opened, input);
    const isExpired = () =>
      incoming.replyTo !== undefined && (incoming.context.deadline ?? Infinity) <= Date.now();
    const key = contract.kind === 'query' ? undefined : getSubject(contract, input);

    await this.#order.run(key, async () => {
      if (isExpired()) return;
      const response = await withCall(incoming.context, () => {
        const runHandlers = async (inner: MessageContext) => {
          let answer: unknown;
          for (const handle of run) answer = await handle(input, inner);
          inner.mustHaveCheckedOwnership();
          // Inside the transaction: invalid output rolls it back.
          return contract.kind === 'event' ? undefined : contract.output.parse(answer);
        };
        const { middleware } = this.options;
        const result =
          contract.kind === 'query' || !middleware ? runHandlers(context) : middleware(context, runHandlers);
        return result.catch((error: unknown) => {
          throw context.toCaller(error);
        });
      });
      await this.#answer(incoming, { response: await encryptAnswer(response) });
    });
  }

  async #settleFailure(
    source: Source,
    message: ConsumeMessage,
    incoming: Incoming | undefined,
    error: unknown,
  ): Promise<void> {
    const { queue, kind } = source;
    const isUnknown = incoming && !this.#handlers.has(incoming.pattern);
    if (isUnknown && (await this.#forwardToVersion(source, message, incoming))) return;
    const isRejection = error instanceof Rejection;
    const contract = this.#handlers.get(incoming?.pattern ?? '')?.contract;
    const safeError = contract && isSensitive(contract) ? withoutText(error) : error;
    if (!isRejection && !(error instanceof Overloaded)) {
      const traceId = getTraceId(incoming?.context.traceparent);
      const { pattern, messageId } = incoming ?? {};
      this.logger.error(
        { err: safeError, queue, pattern, messageId, traceId },
        `${pattern ?? 'a message'} failed`,
      );
    }
    if (error instanceof UnhandledPattern) throw error;
    // Another instance may have the key: requeues while a caller waits.
    if (error instanceof UnknownKey && incoming && isAwaited(incoming)) throw error;
    if (incoming?.replyTo) return this.#answer(incoming, { error });
    // A query without a waiting caller needs no retry.
    if (kind === 'queries') return;
    const isPermanent =
      isRejection || !incoming || error instanceof NotEncrypted || error instanceof DecryptionFailed;
    const safeMessage = error instanceof NotEncrypted ? await this.#encryptCopy(message, incoming!) : message;
    const origin = incoming ?? determineOrigin(message, this.options.connection, this.#marks);
    await retryOrDeadLetter(this.options.publisher, {
      service: this.options.service,
      // The queue of a version may have expired by then.
      queue: queues[kind](this.options.service),
      message: safeMessage,
      sender: origin.sender,
      marks: this.#marks,
      firstFailedAt: origin.firstFailedAt,
      failures: origin.failures + 1,
      retryDelays: isPermanent ? [] : (this.options.retryDelays ?? defaultRetryDelays),
      error: safeError,
    });
  }

  /** Encrypts a message that arrived unencrypted, so that it is not stored in plain text. */
  async #encryptCopy(
    message: ConsumeMessage,
    { pattern, data, packetId }: Incoming,
  ): Promise<ConsumeMessage> {
    const [key] = this.options.decryption!.publicKeys;
    const packet = { pattern, data: await encryptFor(key, data, pattern), ...(packetId && { id: packetId }) };
    const { content } = encodeRequest(packet, { messageId: '' });
    return { ...message, content };
  }

  /** Forwards a request that only another version handles: a version with a share does not consume the common queue. */
  async #forwardToVersion(
    { kind, version }: Source,
    { properties }: ConsumeMessage,
    { pattern, data, packetId, messageId, correlationId, headers, sender }: Incoming,
  ): Promise<boolean> {
    const { split, publisher } = this.options;
    if (!split || kind === 'events' || version) return false;
    const { replyTo, expiration, deliveryMode } = properties;
    const { content, options } = encodeRequest({ pattern, data, ...(packetId && { id: packetId }) }, {
      replyTo,
      correlationId,
      expiration,
      messageId,
      headers: { ...headers, ...senderHeader(sender) },
      persistent: deliveryMode === 2,
      mandatory: true,
    } as Outgoing['options']);
    options.headers = this.#marks.add(messageId, content, options.headers as Record<string, unknown>);
    for (const one of Object.keys(split.shares() ?? {})) {
      if (one === split.version) continue;
      try {
        const routingKey = requestKey(pattern, one);
        await publisher.publish({ exchange: exchanges.requests(pattern), routingKey, content, options });
        return true;
      } catch (failure) {
        if (!(failure instanceof Unroutable)) throw failure;
      }
    }
    return false;
  }

  /** Answers of queries are batched; the answer of a command is sent before its acknowledgement. */
  #answer(incoming: Request, outcome: HandlerOutcome): void | Promise<void> {
    const { replyTo, sender, correlationId, pattern, readsBatches } = incoming;
    if (!replyTo) return;
    // The broker refuses other queues and would close the channel.
    if (this.options.connection.operator !== undefined && !isReplyQueueOf(sender ?? '', replyTo)) {
      if (!this.#hasWarnedNoAnswer)
        this.logger.warn(`cannot answer ${sender}: ${replyTo} is not its reply queue`);
      this.#hasWarnedNoAnswer = true;
      return;
    }
    const answer = { correlationId, packet: toAnswerPacket(incoming, outcome) };
    const requester = sender ?? '';
    if (this.#isQuery(pattern) && readsBatches)
      return this.#answerBatch.add(replyTo, { ...answer, requester });
    return this.#sendAnswers(replyTo, [{ ...answer, requester }]);
  }

  /** Answers a request that cannot be read with an error, so that its caller does not wait for the timeout. */
  async #answerUnreadable(received: ConsumeMessage, { message }: Error): Promise<void> {
    const { replyTo, correlationId } = received.properties as { replyTo?: string; correlationId?: string };
    await this.#answer(
      {
        replyTo,
        correlationId,
        pattern: '',
        packetId: correlationId,
        readsBatches: false,
        sender: determineOrigin(received, this.options.connection, this.#marks).sender,
      },
      { error: new RemoteFault('unreadable', `the request cannot be read: ${message}`) },
    );
  }

  async #sendAnswers(replyTo: string, answers: PendingAnswer[]): Promise<void> {
    const { content, options } = encodeAnswers(answers);
    const { login } = this.options.connection;
    // The reply queue of a stock Nest client is bound to the default exchange only.
    const requester = parseReplyQueueLogin(replyTo);
    const exchange = requester === undefined ? '' : exchanges.replies(requester);
    const channel = await this.#answers.open(answers[0]!.requester);
    channel?.publish(exchange, replyTo, content, { ...options, userId: login });
  }

  /** Stops consuming, completes the messages in progress (at most `timeoutMs`), and closes. None is redelivered. */
  async close(timeoutMs = 6_000): Promise<void> {
    this.#draining = true;
    await this.#versions?.close();
    await Promise.all([...this.#consuming.values()].map((consuming) => this.#cancel(consuming)));
    await within(timeoutMs, Promise.all(this.#inFlight)).catch(() => {});
    await Promise.all([...this.#consumers.values()].map((channel) => channel.close()));
    await this.#answers.close();
  }

  on(): never {
    throw new Error('RabbitServer emits no events; use ready');
  }

  unwrap<T>(): T {
    return this.options.connection as T;
  }
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

function toOutcome(error: unknown): Outcome {
  if (error instanceof Overloaded) return 'refused';
  return error instanceof Rejection ? 'rejection' : 'fault';
}

/** Requeues a request without a handler here: during a rolling update a newer version may handle it. */
class UnhandledPattern extends Error {
  override readonly name = 'UnhandledPattern';
}

/** Whether a caller still waits for the answer, with a deadline. */
const isAwaited = ({ replyTo, context: { deadline } }: Incoming): boolean =>
  replyTo !== undefined && deadline !== undefined && deadline > Date.now();

function createUnknownPatternError(service: string, incoming: Incoming): Error {
  const message = `${service} has no handler for ${incoming.pattern}`;
  if (isAwaited(incoming)) return new UnhandledPattern(message);
  return new RemoteFault('unknown-pattern', message);
}

function parse(schema: z.ZodType, data: unknown): unknown {
  const result = schema.safeParse(data ?? {});
  if (result.success) return result.data;
  throw platformRejection(
    'invalid',
    'the input does not fit the contract',
    result.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'unknown field' }))
        : [{ path: issue.path.join('.'), message: issue.message }],
    ),
  );
}

/** The login in the name of a reply queue; undefined if it is not a `RabbitClient` queue. */
const parseReplyQueueLogin = (replyTo: string): string | undefined =>
  /^reply\.(.+)\.[\w-]+$/.exec(replyTo)?.[1];

/** Matches the broker permissions exactly: a refused answer would close the channel and lose other answers. */
function isReplyQueueOf(sender: string, replyTo: string): boolean {
  const prefix = queues.reply(sender, '');
  return replyTo.startsWith(prefix) && /^[\w-]+$/.test(replyTo.slice(prefix.length));
}
