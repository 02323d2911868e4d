import type { AnyContract } from '@jogakbo/contract';
import type { Channel, ConsumeMessage } from 'amqplib';
import type { AnswerSender } from './answer-sender.ts';
import { withCall } from './call-context.ts';
import {
  decodeAll,
  isBatch,
  type DecodedMessage,
  type Incoming,
  type UnreadableRequest,
} from './decoding.ts';
import { getSubject } from './encoding.ts';
import type { FailedMessages } from './failed-messages.ts';
import { createUnknownPatternError, isExpected, LeftToOthers, Overloaded } from './failure-policy.ts';
import { parseInput, type HandlerTable } from './handler-table.ts';
import { determineOrigin } from './identity.ts';
import { InOrder } from './in-order.ts';
import type { Marks } from './marks.ts';
import { MessageContext } from './message-context.ts';
import { planRequeue } from './requeue.ts';
import { RequestDecryption } from './request-decryption.ts';
import type { SenderCheck } from './sender-check.ts';
import type { ConsumedQueue, Outcome, ServerLogger, ServerOptions } from './server-options.ts';
import { describeMessage, toErrorType, type Span } from './spans.ts';
import { returnsToCommonQueue } from './topology.ts';

/** How a delivery ends, if the message is not requeued. */
type Settlement = 'ack' | 'reject';

/** The parts of a server that handle one message after the other. */
interface PipelineParts {
  options: ServerOptions;
  handlers: HandlerTable;
  marks: Marks;
  senders: SenderCheck;
  answers: AnswerSender;
  failed: FailedMessages;
  logger: ServerLogger;
}

/** The way of a received message: decode, check the sender, handle, answer or settle the failure, acknowledge. */
export class MessagePipeline {
  readonly #order = new InOrder();
  readonly #decryption: RequestDecryption;
  #activeQueries = 0;
  readonly #followed = new WeakSet<Channel>();
  readonly #closed = new WeakSet<Channel>();

  constructor(private readonly parts: PipelineParts) {
    this.#decryption = new RequestDecryption(parts.options.decryption);
  }

  /** Never throws: each message is acknowledged or rejected exactly once, unless the channel is lost. */
  async receive(channel: Channel, source: ConsumedQueue, message: ConsumeMessage): Promise<void> {
    this.#follow(channel);
    try {
      const settlement = await this.#process(source, message);
      if (settlement === 'ack') channel.ack(message);
      // Its sender may not send it. The broker dead-letters it; the queue of queries drops it.
      else channel.nack(message, false, false);
    } catch (error) {
      const text = `${source.queue}: requeueing a message: ${(error as Error).message}`;
      if (error instanceof LeftToOthers) this.parts.logger.debug?.(text);
      // It could not be published for a retry, for example without the broker.
      else this.parts.logger.warn(text);
      this.#requeueLater(channel, source, message);
    }
  }

  /** Returns a message to its queue after a delay, or, if that was done often, tries again here: see `planRequeue`. */
  #requeueLater(channel: Channel, source: ConsumedQueue, message: ConsumeMessage): void {
    const { delayMs, isReturned } = planRequeue(message);
    setTimeout(() => {
      // If the channel is closed the broker redelivers the message.
      if (!isReturned && !this.#closed.has(channel)) return void this.receive(channel, source, message);
      try {
        channel.nack(message, false, true);
      } catch {
        // It is closed.
      }
    }, delayMs).unref();
  }

  #follow(channel: Channel): void {
    if (this.#followed.has(channel)) return;
    this.#followed.add(channel);
    channel.once('close', () => this.#closed.add(channel));
  }

  /** @returns `reject` if all of it came from an unauthorized sender @throws if the message must be requeued */
  async #process(source: ConsumedQueue, message: ConsumeMessage): Promise<Settlement> {
    const decoded = this.#decode(source, message);
    if (decoded instanceof Error) return this.#processUnreadable(source, message, decoded);
    const { readable: all, unreadable } = decoded;
    if (unreadable.length > 0 && !(await this.#answerUnreadable(source, message, unreadable)))
      return 'reject';
    const allowed = all
      .filter((incoming) => this.#isAllowed(source, incoming))
      .map((incoming) => this.parts.senders.keepMemberOfGateway(incoming));
    if (all.length > 0 && allowed.length === 0) return 'reject';
    const work = (incoming: Incoming) => this.#handleInSpan(source, message, incoming);
    if (allowed.length === 1) await work(allowed[0]!);
    else await workOnAll(allowed.map(work));
    return 'ack';
  }

  /** Answers the unreadable requests of a batch. @returns false if their sender may send nothing to this queue */
  async #answerUnreadable(
    source: ConsumedQueue,
    message: ConsumeMessage,
    unreadable: UnreadableRequest[],
  ): Promise<boolean> {
    const { senders, answers, options, marks } = this.parts;
    const origin = determineOrigin(message, options.connection, marks);
    const isAllowed = senders.isAllowedUnread(source, origin);
    for (const { id, error } of unreadable) {
      if (isAllowed) await answers.sendUnreadable(message, origin.sender, error, id);
      this.#observe('', isAllowed ? 'fault' : 'unauthorized', performance.now());
    }
    return isAllowed;
  }

  /** Decodes all requests of a message. */
  #decode(source: ConsumedQueue, message: ConsumeMessage): DecodedMessage | Error {
    try {
      if (isBatch(message) && source.kind !== 'queries')
        throw new SyntaxError('only queries may be sent in a batch');
      const decoded = decodeAll(message, this.parts.options.connection, this.parts.marks);
      // Events are never answered, even with a reply queue: the broker may refuse the answer.
      if (source.kind === 'events') for (const incoming of decoded.readable) incoming.replyTo = undefined;
      return decoded;
    } catch (error) {
      return error as Error;
    }
  }

  /** Answers and dead-letters an unreadable message, if its sender may send any message to this queue. */
  async #processUnreadable(
    source: ConsumedQueue,
    message: ConsumeMessage,
    error: Error,
  ): Promise<Settlement> {
    const startedAt = performance.now();
    const origin = determineOrigin(message, this.parts.options.connection, this.parts.marks);
    const isAllowed = this.parts.senders.isAllowedUnread(source, origin);
    if (isAllowed && source.kind !== 'events')
      await this.parts.answers.sendUnreadable(message, origin.sender, error);
    if (isAllowed) await this.parts.failed.settle(source, message, undefined, error);
    if (isAllowed || !returnsToCommonQueue(source))
      this.#observe('', isAllowed ? 'fault' : 'unauthorized', startedAt);
    return isAllowed ? 'ack' : 'reject';
  }

  #isAllowed(source: ConsumedQueue, incoming: Incoming): boolean {
    const isAllowed = this.parts.senders.isAllowed(source, incoming);
    if (!isAllowed && !returnsToCommonQueue(source))
      this.#observe(incoming.pattern, 'unauthorized', performance.now());
    return isAllowed;
  }

  /** Handles a message in its context: every log line about it has its trace id, and what it sends belongs to its span. */
  #handleInSpan(source: ConsumedQueue, message: ConsumeMessage, incoming: Incoming): Promise<void> {
    const span = this.#startSpan(source, incoming);
    const callContext = { ...incoming.callContext, ...span?.trace };
    const handled = span ? { ...incoming, callContext } : incoming;
    return withCall(callContext, () => this.#handleOrSettle(source, message, handled, span));
  }

  /** @returns undefined if the instance exports no spans, or has no handler: a name that a sender chose is no span's name */
  #startSpan({ queue }: ConsumedQueue, incoming: Incoming): Span | undefined {
    const { pattern, data, messageId, sender, failures, callContext, sentIn } = incoming;
    const contract = this.parts.handlers.getContract(pattern);
    if (!contract) return undefined;
    const attributes = {
      ...describeMessage('process', contract.name, messageId),
      'messaging.consumer.group.name': queue,
      'jogakbo.message.sender': sender,
      'jogakbo.message.kind': contract.kind,
      'jogakbo.message.subject': getSubject(contract, data),
      'jogakbo.message.failures': failures || undefined,
      'user.id': callContext.caller?.memberId,
    };
    const what = { name: `process ${contract.name}`, kind: 'consumer' as const, attributes };
    return this.parts.options.spans?.start(what, sentIn);
  }

  /** Handles a request or event, settles its failure, and reports the outcome. */
  async #handleOrSettle(
    source: ConsumedQueue,
    message: ConsumeMessage,
    incoming: Incoming,
    span: Span | undefined,
  ): Promise<void> {
    const startedAt = performance.now();
    let outcome: Outcome = 'requeued';
    let errorType: string | undefined;
    try {
      outcome = await this.#handleWithinLimit(incoming).catch((error: unknown) => {
        if (!isExpected(error)) errorType = toErrorType(error);
        return this.parts.failed.settle(source, message, incoming, error);
      });
    } finally {
      this.#observe(incoming.pattern, outcome, startedAt);
      span?.end(errorType, { 'jogakbo.message.outcome': outcome });
    }
  }

  /** @param pattern as received: only names of contracts become metrics */
  #observe(pattern: string, outcome: Outcome, startedAt: number): void {
    const { name = 'unknown', kind } = this.parts.handlers.getContract(pattern) ?? {};
    this.parts.options.observe?.({ name, kind, outcome, seconds: (performance.now() - startedAt) / 1_000 });
  }

  /** @throws Overloaded if too many queries are being handled */
  async #handleWithinLimit(incoming: Incoming): Promise<Outcome> {
    const { service, concurrency } = this.parts.options;
    if (!this.parts.handlers.isQuery(incoming.pattern)) return this.#handle(incoming);
    if (concurrency && this.#activeQueries >= concurrency()) throw new Overloaded(service);
    this.#activeQueries++;
    try {
      return await this.#handle(incoming);
    } finally {
      this.#activeQueries--;
    }
  }

  async #handle(incoming: Incoming): Promise<Outcome> {
    const contract = this.parts.handlers.getContract(incoming.pattern);
    if (!contract) throw createUnknownPatternError(this.parts.options.service, incoming);
    const opened = await this.#decryption.open(contract, incoming);
    const encryptAnswer = this.#decryption.createResponseEncryptor(contract, incoming);
    const input = parseInput(contract.input, opened.data);
    const context = new MessageContext(contract, opened, input);
    const key = contract.kind === 'query' ? undefined : getSubject(contract, input);
    return this.#order.run(key, async () => {
      if (isExpired(incoming)) return 'expired';
      const response = await withCall(incoming.callContext, () => this.#runHandlers(contract, context));
      const outcome = { response: await encryptAnswer(response) };
      await this.parts.answers.send(incoming, outcome, contract.kind === 'query');
      return 'ok';
    });
  }

  /** Runs the handlers within the middleware, so that invalid output rolls a transaction back. */
  async #runHandlers(contract: AnyContract, context: MessageContext): Promise<unknown> {
    const run = async (inner: MessageContext) => {
      const output = await this.parts.handlers.run(contract, inner.input, inner);
      inner.assertOwnershipWasChecked();
      return contract.kind === 'event' ? undefined : contract.output.parse(output);
    };
    const { middleware } = this.parts.options;
    const result = contract.kind === 'query' || !middleware ? run(context) : middleware(context, run);
    return result.catch((error: unknown) => {
      throw context.toVisibleError(error);
    });
  }
}

/** Without a waiting caller the deadline does not apply. */
const isExpired = ({ replyTo, callContext: { deadline = Infinity } }: Incoming): boolean =>
  replyTo !== undefined && deadline <= Date.now();

/**
 * Waits for all requests of a batch, also after one has failed: none continues after the message was settled. The whole batch
 * is requeued only if one of them could not be published again, for example without the broker.
 */
async function workOnAll(requests: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(requests))
    if (result.status === 'rejected') throw result.reason;
}
