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
import { Unroutable, type Outgoing, type Publisher } from './publisher.ts';
import { RefusalLog } from './refusal-log.ts';
import { isSensitive, NotEncrypted, RequestDecryption } from './request-decryption.ts';
import { retryOrBury } from './retry.ts';
import { ServiceKey } from './service-key.ts';
import {
  assertService,
  assertVersion,
  defaultLadder,
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
  answerTo,
  decodeAll,
  encodeAnswers,
  encodeRequest,
  RemoteFault,
  getSubject,
  type HandlerOutcome,
  type Incoming,
} from './wire.ts';

type Handler = (data: unknown, context: MessageContext) => Promise<unknown>;

/** Wraps every command and event: opens a transaction, for instance. Calls `next` at most once. */
export type Middleware = (
  context: MessageContext,
  next: (context: MessageContext) => Promise<unknown>,
) => Promise<unknown>;

export interface ServerOptions {
  service: string;
  connection: BrokerConnection;
  publisher: Publisher;
  /** Of the service: what it publishes to itself is marked with it. Another instance with another key takes no retries. */
  key?: ServiceKey;
  /** What services may do, as it stands now; needed where every service has a login of its own. */
  grants?: () => Grants;
  around?: Middleware;
  /** Decrypts what was encrypted for the service. Required where it handles a sensitive contract. */
  decryption?: DecryptionKeys;
  /** Waiting times before each further attempt, in milliseconds. Those of the deploy step, where it has run. */
  ladder?: readonly number[];
  /** How many commands, and how many events, are worked on at a time. */
  prefetch?: number;
  /** How many questions are, asked each time. Those beyond are refused at once: they would wait, and so would who asks. */
  concurrency?: () => number;
  /**
   * Told when a queue of commands or events was missing and was made: what had been sent to it is gone.
   * @param takes the names of the contracts that it takes
   */
  onQueueMade?: (takes: string[]) => void;
  /** How the calls of the service are split among its versions; without it they are not. */
  split?: SplitAtServer;
  /** Told of every message that was handled, in its context. */
  observe?: (handled: HandledMessage) => void;
}

type Outcome = 'ok' | 'rejection' | 'fault' | 'refused' | 'quarantined';

/** What is told of a message that was handled. */
export interface HandledMessage {
  name: string;
  /** Undefined where the service has no such contract. */
  kind: 'query' | 'command' | 'event' | undefined;
  outcome: Outcome;
  seconds: number;
}

/** Too many questions are being answered already. Who asked may ask somebody else, or later. */
class Overloaded extends RemoteFault {
  constructor(service: string) {
    super('overloaded', `${service} has too much to do`);
  }
}

const defaultPrefetch = 64;
const nothingGranted = new Grants([]);

/** What an answer needs to know of the request. */
type Request = Pick<
  Incoming,
  'replyTo' | 'sender' | 'correlationId' | 'pattern' | 'packetId' | 'readsBatches'
>;

/** An answer about to leave, and the login that asked. */
type PendingAnswer = Parameters<typeof encodeAnswers>[0][0] & { asker: string };

/** A queue of the service; one of a version holds only what was sent to that version. */
interface Source {
  queue: string;
  kind: 'commands' | 'queries' | 'events';
  version?: string | undefined;
}

/**
 * Nest transport that consumes a service's three queues.
 *
 * - A message is acknowledged after its handler is through: after the commit, and after the answer has left.
 * - A command that nobody waits for and an event are tried again along the ladder when they fail, then they go to the
 *   service's dead-letter queue. A request that somebody waits for is answered with the fault instead.
 * - Questions beyond what can be answered at a time are refused at once, not kept waiting.
 * - Where every service has a login of its own, a message from a sender that may not send it is never handled: the broker
 *   puts it into the dead-letter queue at once (of a query nothing is kept), and no answer is sent.
 * - A request is never run after its deadline. Input is checked on arrival, output before it leaves.
 * - Messages about the same subject are handled one after the other within an instance.
 * - While its calls are split among versions, it consumes the queues that `VersionQueues` says.
 * - The data of a sensitive request is decrypted on arrival, and nowhere else: what is retried or dead-lettered stays
 *   encrypted. One that came in clear is refused.
 * - A service hears its own events, and takes its own commands, in the transaction that sends them (`dispatch`).
 */
export class RabbitServer extends Server implements CustomTransportStrategy {
  readonly #handlers = new Map<string, { contract: AnyContract; run: Handler[] }>();
  readonly #order = new InOrder();
  readonly #decryption: RequestDecryption;
  readonly #turn = new RequestBatch<PendingAnswer>((to, all) => void this.#sendAnswers(to, all));
  /** Questions being answered. */
  #questions = 0;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #consumers = new Map<string, RecoveringChannel>();
  readonly #consuming = new Map<string, { channel: Channel; tag: string }>();
  readonly #answers: AnswerChannels;
  readonly #marks: Marks;
  readonly #refusals = new RefusalLog(this.logger);
  #wanted: Subscriptions = { commands: [], queries: [], events: [] };
  #versions: VersionQueues | undefined;
  #draining = false;
  #saidMute = false;

  constructor(private readonly options: ServerOptions) {
    super();
    this.#decryption = new RequestDecryption(options.decryption);
    this.#answers = new AnswerChannels(options.connection);
    this.#marks = new Marks(options.key ?? ServiceKey.random());
  }

  /** Adds a listener that is no Nest handler, such as a saga. Before `listen`. */
  listenTo(contract: AnyContract, handler: Handler): void {
    const known = this.#handlers.get(contract.name);
    if (known) known.run.push(handler);
    else this.#handlers.set(contract.name, { contract, run: [handler] });
  }

  /** The contracts that are handled here. Complete after `listen`. */
  get handled(): AnyContract[] {
    return [...this.#handlers.values()].map(({ contract }) => contract);
  }

  /** True while every queue of the service is being consumed. */
  get ready(): boolean {
    return this.#consuming.size === this.#consumers.size && this.#consumers.size > 0;
  }

  /**
   * Runs the handlers of a contract here and now, within `context`.
   * @throws Rejection `invalid` where the data does not fit the contract
   */
  async dispatch(contract: AnyContract, data: unknown, context: MessageContext): Promise<unknown> {
    const handlers = this.#handlers.get(contract.name)?.run ?? [];
    if (contract.kind !== 'event' && handlers.length === 0)
      throw new Error(`nobody here handles ${contract.name}`);
    const input = parse(contract.input, data);
    let answer: unknown;
    for (const handle of handlers) answer = await handle(input, context);
    return answer;
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      this.#adoptNestHandlers();
      this.#mustDecrypt();
      this.#wanted = this.#subscriptions();
      const { connection, service, split } = this.options;
      if (split) {
        this.#versions = new VersionQueues(split, {
          ...{ service, connection, names: this.#wanted },
          takes: (queue) => this.#consumers.has(queue),
          take: (kind, version) => this.#take({ queue: queues[kind](service, version), kind, version }),
          leave: (queue) => this.#leave(queue),
        });
      }
      const take = (kind: Source['kind']) =>
        this.#wanted[kind].length > 0 && this.#take({ queue: queues[kind](service), kind });
      await Promise.all([
        take('events'),
        ...(this.#versions ? [this.#versions.open()] : [take('commands'), take('queries')]),
      ]);
      callback();
    } catch (error) {
      callback(error);
    }
  }

  #adoptNestHandlers(): void {
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

  #subscriptions(): Subscriptions {
    const names = (kind: AnyContract['kind']) =>
      this.handled
        .filter((contract) => contract.kind === kind)
        .filter(({ kind, service }) => kind !== 'event' || service !== this.options.service)
        .map(({ name }) => name);
    return { commands: names('command'), queries: names('query'), events: names('event') };
  }

  /** To be called when the split has changed. */
  splitChanged(): void {
    this.#versions?.changed();
  }

  async #take(source: Source): Promise<void> {
    const { queue } = source;
    if (this.#consumers.has(queue) || this.#draining) return;
    const kept: RecoveringChannel = new RecoveringChannel(
      this.options.connection,
      (model) => model.createChannel(),
      (channel) => this.#consume(channel, source),
    );
    this.#consumers.set(queue, kept);
    try {
      await kept.open();
    } catch (error) {
      this.#consumers.delete(queue);
      throw error;
    }
  }

  #leave(queue: string): void {
    const kept = this.#consumers.get(queue);
    const consuming = this.#consuming.get(queue);
    this.#consumers.delete(queue);
    this.#consuming.delete(queue);
    if (consuming)
      void this.#cancel(consuming)
        .then(() => Promise.all(this.#inFlight))
        .then(() => kept?.close());
    else void kept?.close();
  }

  #cancel({ channel, tag }: { channel: Channel; tag: string }): Promise<unknown> {
    return within(1_000, channel.cancel(tag)).catch(() => {});
  }

  async #consume(channel: Channel, source: Source): Promise<void> {
    if (this.#draining) return;
    const { queue, kind, version } = source;
    const { connection, service, ladder = defaultLadder, onQueueMade } = this.options;
    const lost = kind !== 'queries' && !version && !(await exists(connection, queue));
    const isGiven = connection.operator !== undefined;
    await assertService(channel, service, this.#wanted, { ladder, isGiven });
    if (version && kind !== 'events') await assertVersion(channel, service, kind, version);
    const { prefetch = defaultPrefetch, concurrency } = this.options;
    // What is to be refused must have been taken.
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
    if (lost) onQueueMade?.(this.#wanted[kind]);
  }

  /** Never throws: whatever happens ends in exactly one of ack and nack, or in a lost channel. */
  async #receive(channel: Channel, source: Source, message: ConsumeMessage): Promise<void> {
    try {
      let all: Incoming[] = [];
      try {
        all = decodeAll(message, this.options.connection, this.#marks);
        // An event is never answered, whatever its sender asks for: the broker may refuse the answer.
        if (source.kind === 'events') for (const incoming of all) incoming.replyTo = undefined;
        if (all.length > 1 && source.kind !== 'queries')
          throw new SyntaxError('only questions travel together');
      } catch (error) {
        all = [];
        if (source.kind !== 'events') await this.#answerUnreadable(message, error as Error);
        await this.#settleFailure(source, message, undefined, error);
        this.#observe('unknown', 'fault', performance.now());
      }
      const trusted = all.filter((incoming) => this.#isTrusted(source, incoming));
      // The broker puts it among the dead letters. Of the queries it keeps none.
      if (all.length > 0 && trusted.length === 0) return channel.nack(message, false, false);
      // In the context of each: every line about it carries its trace.
      const work = (incoming: Incoming) =>
        withCall(incoming.context, () => this.#work(source, message, incoming));
      if (trusted.length === 1) await work(trusted[0]!);
      else await Promise.all(trusted.map(work));
      channel.ack(message);
    } catch (error) {
      // The message could not be put away safely (the broker is leaving?): it stays where it is.
      this.logger.warn(`${source.queue}: a message goes back: ${(error as Error).message}`);
      setTimeout(() => {
        try {
          channel.nack(message, false, true);
        } catch {
          // The channel is gone, and with it the delivery: the broker gives it out again.
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

  #isQuestion(pattern: string): boolean {
    return this.#handlers.get(pattern)?.contract.kind === 'query';
  }

  #observe(name: string, outcome: Outcome, startedAt: number): void {
    const kind = this.#handlers.get(name)?.contract.kind;
    this.options.observe?.({ name, kind, outcome, seconds: (performance.now() - startedAt) / 1_000 });
  }

  /** Whether its sender may send it. Forgets on whose behalf it comes unless the gateway says it. */
  #isTrusted({ kind, queue }: Source, incoming: Incoming): boolean {
    const { pattern, sender } = incoming;
    const { connection } = this.options;
    if (connection.operator === undefined) return true;
    const grants = this.options.grants?.() ?? nothingGranted;
    // Of what only another version knows, the name says whose it is.
    const unknown = { kind: kind === 'events' ? 'event' : 'unknown', name: pattern };
    const contract = this.#handlers.get(pattern)?.contract ?? {
      ...unknown,
      service: getOwner(pattern),
    };
    try {
      mustBeAllowed(contract, incoming, connection, grants);
    } catch (error) {
      if (!(error instanceof UnauthorizedSender)) throw error;
      connection.refuseStranger(contract.kind);
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
    if (!this.#isQuestion(incoming.pattern)) return this.#handle(incoming);
    if (concurrency && this.#questions >= concurrency()) throw new Overloaded(service);
    this.#questions++;
    try {
      await this.#handle(incoming);
    } finally {
      this.#questions--;
    }
  }

  async #handle(incoming: Incoming): Promise<void> {
    const found = this.#handlers.get(incoming.pattern);
    if (!found) throw unknownPattern(this.options.service, incoming);
    const { contract, run } = found;
    const opened = await this.#decryption.open(contract, incoming);
    const encryptAnswer = this.#decryption.responder(contract, incoming);
    const input = parse(contract.input, opened.data);
    const context = new MessageContext(contract, opened, input);
    const expired = () =>
      incoming.replyTo !== undefined && (incoming.context.deadline ?? Infinity) <= Date.now();
    const key = contract.kind === 'query' ? undefined : getSubject(contract, input);

    await this.#order.run(key, async () => {
      if (expired()) return;
      const response = await withCall(incoming.context, () => {
        const through = async (inner: MessageContext) => {
          let answer: unknown;
          for (const handle of run) answer = await handle(input, inner);
          inner.mustHaveCheckedOwnership();
          // Inside the transaction: what cannot be answered is not committed either.
          return contract.kind === 'event' ? undefined : contract.output.parse(answer);
        };
        const { around } = this.options;
        const result = contract.kind === 'query' || !around ? through(context) : around(context, through);
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
    if (isUnknown && (await this.#passOn(source, message, incoming))) return;
    const isNo = error instanceof Rejection;
    const contract = this.#handlers.get(incoming?.pattern ?? '')?.contract;
    const told = contract && isSensitive(contract) ? withoutText(error) : error;
    if (!isNo && !(error instanceof Overloaded)) {
      const traceId = getTraceId(incoming?.context.traceparent);
      const { pattern, messageId } = incoming ?? {};
      this.logger.error(
        { err: told, queue, pattern, messageId, traceId },
        `${pattern ?? 'a message'} failed`,
      );
    }
    if (error instanceof NotYetKnown) throw error;
    // Another instance may have the key: while somebody waits there is time to ask it.
    if (error instanceof UnknownKey && incoming && isAwaited(incoming)) throw error;
    if (incoming?.replyTo) return this.#answer(incoming, { error });
    // Nobody waits for what it would have said.
    if (kind === 'queries') return;
    const isForNoOne = error instanceof NotEncrypted || error instanceof DecryptionFailed;
    const hopeless = isNo || isForNoOne || !incoming;
    const kept = error instanceof NotEncrypted ? await this.#encryptedCopy(message, incoming!) : message;
    const origin = incoming ?? determineOrigin(message, this.options.connection, this.#marks);
    await retryOrBury(this.options.publisher, {
      service: this.options.service,
      // The queue of a version may be gone by then.
      queue: queues[kind](this.options.service),
      message: kept,
      sender: origin.sender,
      marks: this.#marks,
      firstFailedAt: origin.firstFailedAt,
      failures: origin.failures + 1,
      ladder: hopeless ? [] : (this.options.ladder ?? defaultLadder),
      error: told,
    });
  }

  /** What came in clear and should not have is at least not kept in clear. */
  async #encryptedCopy(
    message: ConsumeMessage,
    { pattern, data, packetId }: Incoming,
  ): Promise<ConsumeMessage> {
    const [key] = this.options.decryption!.publicKeys;
    const packet = { pattern, data: await encryptFor(key, data, pattern), ...(packetId && { id: packetId }) };
    const { content } = encodeRequest(packet, { messageId: '' });
    return { ...message, content };
  }

  /** A version that a split names does not look into the queue of all: what only it knows is handed to it. */
  async #passOn(
    { kind, version }: Source,
    { properties }: ConsumeMessage,
    { pattern, data, packetId, messageId, correlationId, headers, sender }: Incoming,
  ): Promise<boolean> {
    const { split, publisher } = this.options;
    if (!split || kind === 'events' || version) return false;
    const { replyTo, expiration, deliveryMode } = properties;
    const { content, options } = encodeRequest({ pattern, data, ...(packetId && { id: packetId }) }, {
      ...{ replyTo, correlationId, expiration, messageId },
      headers: { ...headers, ...senderHeader(sender) },
      ...{ persistent: deliveryMode === 2, mandatory: true },
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

  /** What a question gave waits for what others give in the same turn; what a command gave leaves before its acknowledgement. */
  #answer(incoming: Request, outcome: HandlerOutcome): void | Promise<void> {
    const { replyTo, sender, correlationId, pattern, readsBatches } = incoming;
    if (!replyTo) return;
    // A login of one service may write to nobody's queue directly, and trying would cost the channel.
    if (this.options.connection.operator !== undefined && !isReplyQueueOf(sender ?? '', replyTo)) {
      if (!this.#saidMute) this.logger.warn(`no answer leaves for ${sender}, which waits at ${replyTo}`);
      this.#saidMute = true;
      return;
    }
    const answer = { correlationId, packet: answerTo(incoming, outcome) };
    const asker = sender ?? '';
    if (this.#isQuestion(pattern) && readsBatches) return this.#turn.add(replyTo, { ...answer, asker });
    return this.#sendAnswers(replyTo, [{ ...answer, asker }]);
  }

  /** Answers a request that cannot be read with an error, so that its caller does not wait for the timeout. */
  async #answerUnreadable(received: ConsumeMessage, { message }: Error): Promise<void> {
    const { replyTo, correlationId } = received.properties as { replyTo?: string; correlationId?: string };
    await this.#answer(
      {
        ...{ replyTo, correlationId, pattern: '', packetId: correlationId, readsBatches: false },
        sender: determineOrigin(received, this.options.connection, this.#marks).sender,
      },
      { error: new RemoteFault('unreadable', `the request cannot be read: ${message}`) },
    );
  }

  async #sendAnswers(replyTo: string, answers: PendingAnswer[]): Promise<void> {
    const { content, options } = encodeAnswers(answers);
    const { login } = this.options.connection;
    // A stock Nest client waits on a queue that only the default exchange reaches.
    const waiting = loginOfReplyQueue(replyTo);
    const exchange = waiting === undefined ? '' : exchanges.replies(waiting);
    const channel = await this.#answers.open(answers[0]!.asker);
    channel?.publish(exchange, replyTo, content, { ...options, userId: login });
  }

  /** Takes no new messages, ends those at hand (at most `patience` ms), and leaves. Nothing is redelivered. */
  async close(patience = 6_000): Promise<void> {
    this.#draining = true;
    await this.#versions?.close();
    await Promise.all([...this.#consuming.values()].map((consuming) => this.#cancel(consuming)));
    await within(patience, Promise.all(this.#inFlight)).catch(() => {});
    await Promise.all([...this.#consumers.values()].map((kept) => kept.close()));
    await this.#answers.close();
  }

  on(): never {
    throw new Error('RabbitServer has no events of its own; see ready');
  }

  unwrap<T>(): T {
    return this.options.connection as T;
  }
}

/** Asked on a channel of its own: "no" closes it. */
async function exists({ model }: BrokerConnection, queue: string): Promise<boolean> {
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

/** While a service is rolled out, the queue may hold what only its new version knows: that one gets another chance. */
class NotYetKnown extends Error {
  override readonly name = 'NotYetKnown';
}

/** Whether somebody still waits for the answer, with a deadline. */
const isAwaited = ({ replyTo, context: { deadline } }: Incoming): boolean =>
  replyTo !== undefined && deadline !== undefined && deadline > Date.now();

function unknownPattern(service: string, incoming: Incoming): Error {
  const message = `${service} does not know ${incoming.pattern}`;
  if (isAwaited(incoming)) return new NotYetKnown(message);
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

/** Whose queue an answer goes to; undefined where that is no client of ours. */
const loginOfReplyQueue = (replyTo: string): string | undefined => /^reply\.(.+)\.[\w-]+$/.exec(replyTo)?.[1];

/** Exactly what the broker would let pass: a refusal costs the channel, and with it the answers of others. */
function isReplyQueueOf(sender: string, replyTo: string): boolean {
  const prefix = queues.reply(sender, '');
  return replyTo.startsWith(prefix) && /^[\w-]+$/.test(replyTo.slice(prefix.length));
}
