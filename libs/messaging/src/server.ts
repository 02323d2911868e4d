import { platformRejection, Rejection, type AnyContract } from '@jogakbo/contract';
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import type { Channel, ConsumeMessage } from 'amqplib';
import { lastValueFrom } from 'rxjs';
import { type z } from 'zod';
import { traceIdOf, withCall } from './call-context.ts';
import { KeptChannel, within, type BrokerConnection } from './connection.ts';
import { mustBeSentByOwner, senderOf, Stranger } from './identity.ts';
import { InOrder } from './in-order.ts';
import { MessageContext } from './message-context.ts';
import type { Publisher } from './publisher.ts';
import { retryOrBury } from './retry.ts';
import {
  assertService,
  assertShared,
  defaultLadder,
  exchanges,
  queues,
  type Subscriptions,
} from './topology.ts';
import { Turn } from './turn.ts';
import {
  answerTo,
  decodeAll,
  encodeAnswers,
  RemoteFault,
  subjectOf,
  type HandlerOutcome,
  type Incoming,
} from './wire.ts';

type Handler = (data: unknown, context: MessageContext) => Promise<unknown>;

/** Wraps every command and event: opens a transaction, for instance. Calls `next` at most once. */
export type Around = (
  context: MessageContext,
  next: (context: MessageContext) => Promise<unknown>,
) => Promise<unknown>;

export interface ServerOptions {
  service: string;
  connection: BrokerConnection;
  publisher: Publisher;
  around?: Around;
  /** Waiting times before each further attempt, in milliseconds. All services of one broker share them. */
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
  /** Told of every message that was handled, for metrics. */
  observe?: (handled: { name: string; outcome: Outcome; seconds: number }) => void;
}

type Outcome = 'ok' | 'rejection' | 'fault' | 'refused' | 'quarantined';

/** Too many questions are being answered already. Who asked may ask somebody else, or later. */
class Overloaded extends RemoteFault {
  constructor(service: string) {
    super('overloaded', `${service} has too much to do`);
  }
}

const defaultPrefetch = 64;

/**
 * Nest transport that consumes a service's three queues.
 *
 * - A message is acknowledged after its handler is through: after the commit, and after the answer has left.
 * - A command that nobody waits for and an event are tried again along the ladder when they fail, then they go to the
 *   service's dead-letter queue. A request that somebody waits for is answered with the fault instead.
 * - Questions beyond what can be answered at a time are refused at once, not kept waiting.
 * - Where every service has a login of its own, a message that is not from the one who may send it is never handled: it
 *   goes to the dead-letter queue at once, and nobody is answered.
 * - A request is never run after its deadline. Input is checked on arrival, output before it leaves.
 * - Messages about the same subject are handled one after the other within an instance.
 * - A service hears its own events, and takes its own commands, in the transaction that sends them (`dispatch`).
 */
export class RabbitServer extends Server implements CustomTransportStrategy {
  readonly #handlers = new Map<string, { contract: AnyContract; run: Handler[] }>();
  readonly #order = new InOrder();
  readonly #turn = new Turn<Parameters<typeof encodeAnswers>[0][0]>((to, all) => this.#sendAnswers(to, all));
  /** Questions being answered. */
  #questions = 0;
  readonly #inFlight = new Set<Promise<void>>();
  readonly #consumers: { queue: string; kept: KeptChannel }[] = [];
  readonly #consuming = new Map<string, { channel: Channel; tag: string }>();
  #answers: KeptChannel | undefined;
  #draining = false;
  #saidMute = false;

  constructor(private readonly options: ServerOptions) {
    super();
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
    return this.#consuming.size === this.#consumers.length && this.#consumers.length > 0;
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
      const wanted = this.#subscriptions();
      const { connection, service } = this.options;
      this.#answers = new KeptChannel(connection, (model) => model.createChannel());
      await this.#answers.open();
      for (const kind of ['commands', 'queries', 'events'] as const) {
        if (wanted[kind].length === 0) continue;
        const queue = queues[kind](service);
        const kept: KeptChannel = new KeptChannel(
          connection,
          (model) => model.createChannel(),
          (channel) => this.#consume(channel, queue, wanted),
        );
        this.#consumers.push({ queue, kept });
      }
      await Promise.all(this.#consumers.map(({ kept }) => kept.open()));
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
      this.listenTo(contract, async (data, context) =>
        lastValueFrom(this.transformToObservable(await handler(data, context)), { defaultValue: undefined }),
      );
    }
  }

  #subscriptions(): Subscriptions {
    const names = (kind: AnyContract['kind']) =>
      this.handled
        .filter((contract) => contract.kind === kind)
        .filter(({ kind, service }) => kind !== 'event' || service !== this.options.service)
        .map(({ name }) => name);
    return { commands: names('command'), queries: names('query'), events: names('event') };
  }

  async #consume(channel: Channel, queue: string, wanted: Subscriptions): Promise<void> {
    if (this.#draining) return;
    const { connection, service, ladder = defaultLadder, onQueueMade } = this.options;
    const lost = queue !== queues.queries(service) && !(await exists(connection, queue));
    await assertShared(channel, ladder, connection.operator !== undefined);
    await assertService(channel, service, wanted);
    const { prefetch = defaultPrefetch, concurrency } = this.options;
    // What is to be refused must have been taken.
    await channel.prefetch(queue === queues.queries(service) && concurrency ? 2 * concurrency() : prefetch);
    channel.on('close', () => {
      if (this.#consuming.get(queue)?.channel === channel) this.#consuming.delete(queue);
    });
    const { consumerTag } = await channel.consume(queue, (message) => {
      // Null: the broker cancelled the consumer. A new channel brings it back.
      if (!message) return void channel.close().catch(() => {});
      const work = this.#receive(channel, queue, message);
      this.#inFlight.add(work);
      void work.finally(() => this.#inFlight.delete(work));
    });
    this.#consuming.set(queue, { channel, tag: consumerTag });
    if (lost) {
      const takes = queue === queues.events(service) ? wanted.events : wanted.commands;
      onQueueMade?.(takes);
    }
  }

  /** Never throws: whatever happens ends in exactly one of ack and nack, or in a lost channel. */
  async #receive(channel: Channel, queue: string, message: ConsumeMessage): Promise<void> {
    try {
      let all: Incoming[] = [];
      try {
        all = decodeAll(message, this.options.connection);
        if (all.length > 1 && !all.every(({ pattern }) => this.#isQuestion(pattern)))
          throw new SyntaxError('only questions travel together');
      } catch (error) {
        all = [];
        await this.#settleFailure(queue, message, undefined, error);
        this.#observe('unknown', 'fault', performance.now());
      }
      if (all.length === 1) await this.#work(queue, message, all[0]!);
      else await Promise.all(all.map((incoming) => this.#work(queue, message, incoming)));
      channel.ack(message);
    } catch (error) {
      // The message could not be put away safely (the broker is leaving?): it stays where it is.
      this.logger.warn(`${queue}: a message goes back: ${(error as Error).message}`);
      setTimeout(() => {
        try {
          channel.nack(message, false, true);
        } catch {
          // The channel is gone, and with it the delivery: the broker gives it out again.
        }
      }, 1_000).unref();
    }
  }

  async #work(queue: string, message: ConsumeMessage, incoming: Incoming): Promise<void> {
    const startedAt = performance.now();
    let outcome: Outcome = 'ok';
    try {
      this.#mustBeTrusted(incoming);
      await this.#handleOrRefuse(incoming);
    } catch (error) {
      outcome = outcomeOf(error);
      await this.#settleFailure(queue, message, incoming, error);
    }
    this.#observe(this.#handlers.has(incoming.pattern) ? incoming.pattern : 'unknown', outcome, startedAt);
  }

  #isQuestion(pattern: string): boolean {
    return this.#handlers.get(pattern)?.contract.kind === 'query';
  }

  #observe(name: string, outcome: Outcome, startedAt: number): void {
    this.options.observe?.({ name, outcome, seconds: (performance.now() - startedAt) / 1_000 });
  }

  /** @throws Stranger */
  #mustBeTrusted(incoming: Incoming): void {
    const { pattern } = incoming;
    const { connection } = this.options;
    if (connection.operator === undefined) return;
    const contract = this.#handlers.get(pattern)?.contract;
    const kind = contract?.kind ?? 'unknown';
    try {
      mustBeSentByOwner(contract ?? { kind, name: pattern, service: '' }, incoming);
    } catch (error) {
      connection.refuseStranger(kind);
      throw error;
    }
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
    const input = parse(contract.input, incoming.data);
    const context = new MessageContext(contract, incoming);
    const expired = () =>
      incoming.replyTo !== undefined && (incoming.context.deadline ?? Infinity) <= Date.now();
    const key = contract.kind === 'query' ? undefined : subjectOf(contract, input);

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
        return contract.kind === 'query' || !around ? through(context) : around(context, through);
      });
      this.#answer(incoming, { response });
    });
  }

  async #settleFailure(
    queue: string,
    message: ConsumeMessage,
    incoming: Incoming | undefined,
    error: unknown,
  ): Promise<void> {
    const isNo = error instanceof Rejection;
    if (!isNo && !(error instanceof Overloaded)) {
      const traceId = traceIdOf(incoming?.context.traceparent);
      const { pattern, messageId } = incoming ?? {};
      this.logger.error(
        { err: error, queue, pattern, messageId, traceId },
        `${pattern ?? 'a message'} failed`,
      );
    }
    if (error instanceof NotYetKnown) throw error;
    const isStrange = error instanceof Stranger;
    if (incoming?.replyTo && !isStrange) return this.#answer(incoming, { error });
    // Nobody waits for what it would have said.
    if (queue === queues.queries(this.options.service) && !isStrange) return;
    const hopeless = isNo || isStrange || !incoming;
    await retryOrBury(this.options.publisher, {
      service: this.options.service,
      queue,
      message,
      sender: incoming?.sender ?? senderOf(message.properties, this.options.connection),
      failures: (incoming?.failures ?? 0) + 1,
      ladder: hopeless ? [] : (this.options.ladder ?? defaultLadder),
      error,
    });
  }

  /** What a question gave waits for what others give in the same turn; what a command gave leaves before its acknowledgement. */
  #answer(incoming: Incoming, outcome: HandlerOutcome): void {
    const { replyTo, sender, correlationId, pattern } = incoming;
    if (!replyTo) return;
    // A login of one service may write to nobody's queue directly, and trying would cost the channel.
    if (
      this.options.connection.operator !== undefined &&
      !replyTo.startsWith(queues.reply(sender ?? '', ''))
    ) {
      if (!this.#saidMute) this.logger.warn(`no answer leaves for ${sender}, which waits at ${replyTo}`);
      this.#saidMute = true;
      return;
    }
    const answer = { correlationId, packet: answerTo(incoming, outcome) };
    if (this.#isQuestion(pattern) && isOurs(replyTo)) this.#turn.add(replyTo, answer);
    else this.#sendAnswers(replyTo, [answer]);
  }

  #sendAnswers(replyTo: string, answers: Parameters<typeof encodeAnswers>[0]): void {
    const { content, options } = encodeAnswers(answers);
    const { login } = this.options.connection;
    // A stock Nest client waits on a queue that only the default exchange reaches.
    const exchange = isOurs(replyTo) ? exchanges.replies : '';
    this.#answers?.current?.publish(exchange, replyTo, content, { ...options, userId: login });
  }

  /** Takes no new messages, ends those at hand (at most `patience` ms), and leaves. Nothing is redelivered. */
  async close(patience = 6_000): Promise<void> {
    this.#draining = true;
    const cancelled = [...this.#consuming.values()].map(({ channel, tag }) =>
      within(1_000, channel.cancel(tag)).catch(() => {}),
    );
    await Promise.all(cancelled);
    await within(patience, Promise.all(this.#inFlight)).catch(() => {});
    await Promise.all(this.#consumers.map(({ kept }) => kept.close()));
    await this.#answers?.close();
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

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Stranger) return 'quarantined';
  if (error instanceof Overloaded) return 'refused';
  return error instanceof Rejection ? 'rejection' : 'fault';
}

/** While a service is rolled out, the queue may hold what only its new version knows: that one gets another chance. */
class NotYetKnown extends Error {
  override readonly name = 'NotYetKnown';
}

function unknownPattern(service: string, { pattern, replyTo, context }: Incoming): Error {
  const message = `${service} does not know ${pattern}`;
  const { deadline } = context;
  if (replyTo && deadline && deadline > Date.now()) return new NotYetKnown(message);
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

/** Whether an answer goes to a client of ours, which has a queue behind `replies`. */
const isOurs = (replyTo: string): boolean => replyTo.startsWith('reply.');
