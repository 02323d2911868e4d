import type { ConsumeMessage } from 'amqplib';
import type { AnswerSender } from './answer-sender.ts';
import { isBatch, type Incoming } from './decoding.ts';
import { encodeRequest } from './encoding.ts';
import { encryptFor } from './encryption.ts';
import { withoutText } from './error-without-text.ts';
import { decideOnFailure, isExpected, LeftToOthers, toOutcome } from './failure-policy.ts';
import { RemoteFault } from './faults.ts';
import type { HandlerTable } from './handler-table.ts';
import { determineOrigin, senderHeader } from './identity.ts';
import type { Marks } from './marks.ts';
import { Unroutable, type Publication } from './publisher.ts';
import { isSensitive, NotEncrypted } from './request-decryption.ts';
import { retryOrDeadLetter, withoutMemberHeaders } from './retry.ts';
import type { ConsumedQueue, Outcome, ServerLogger, ServerOptions } from './server-options.ts';
import { defaultRetryDelays, exchanges, getServiceName, queues, requestKey } from './topology.ts';
import { getTraceId } from './trace-context.ts';

/** Does with failed messages what `decideOnFailure` says. */
export class FailedMessages {
  constructor(
    private readonly options: ServerOptions,
    private readonly handlers: HandlerTable,
    private readonly marks: Marks,
    private readonly answers: AnswerSender,
    private readonly logger: ServerLogger,
  ) {}

  /**
   * Settles a failed message; afterwards it may be acknowledged.
   * @param incoming undefined if the message could not be read
   * @throws LeftToOthers if the message must be requeued @throws BrokerUnavailable if it could not be published again
   */
  async settle(
    source: ConsumedQueue,
    message: ConsumeMessage,
    incoming: Incoming | undefined,
    error: unknown,
  ): Promise<Outcome> {
    const { kind, queue } = source;
    const contract = incoming && this.handlers.getContract(incoming.pattern);
    if (incoming && !contract && (await this.#forwardToVersion(source, message, incoming)))
      return 'forwarded';
    const action = decideOnFailure(error, kind, incoming);
    if (action === 'requeue') {
      if (isBatch(message)) return this.#requeueAlone(source, message, incoming!);
      throw new LeftToOthers((error as Error).message);
    }
    const safeError = contract && isSensitive(contract) ? withoutText(error) : error;
    if (!isExpected(error)) this.#log(queue, incoming, safeError);
    if (action === 'answer') await this.answers.send(incoming!, { error }, contract?.kind === 'query');
    else if (action !== 'drop') {
      const copy = error instanceof NotEncrypted ? await this.#encryptCopy(message, incoming!) : message;
      await this.#publishAgain(kind, copy, incoming, safeError, action === 'dead-letter');
    }
    return toOutcome(error);
  }

  #log(queue: string, incoming: Incoming | undefined, error: unknown): void {
    const { pattern, messageId, callContext } = incoming ?? {};
    const traceId = getTraceId(callContext?.traceparent);
    this.logger.error({ err: error, queue, pattern, messageId, traceId }, `${pattern ?? 'a message'} failed`);
  }

  async #publishAgain(
    kind: ConsumedQueue['kind'],
    message: ConsumeMessage,
    incoming: Incoming | undefined,
    error: unknown,
    isPermanent: boolean,
  ): Promise<void> {
    const { service, publisher, connection, retryDelays = defaultRetryDelays } = this.options;
    const origin = incoming ?? determineOrigin(message, connection, this.marks);
    await retryOrDeadLetter(publisher, {
      service,
      // The queue of a version may have expired by then.
      queue: queues[kind](service),
      message,
      sender: origin.sender,
      isEdited: origin.isEdited,
      marks: this.marks,
      firstFailedAt: origin.firstFailedAt,
      failures: origin.failures + 1,
      retryDelays: isPermanent ? [] : retryDelays,
      error,
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

  /** Returns one query of a batch to its queue as a message of its own, so that the others are not repeated. */
  async #requeueAlone(
    { version }: ConsumedQueue,
    message: ConsumeMessage,
    incoming: Incoming,
  ): Promise<Outcome> {
    const { service, publisher } = this.options;
    const routingKey = requestKey(incoming.pattern, version);
    try {
      if (!this.#isOwnRequest(incoming.pattern))
        throw new Unroutable(`${incoming.pattern} belongs to another service`);
      await publisher.publish({
        exchange: exchanges.requests(service),
        routingKey,
        ...this.#copy(message, incoming),
      });
      return 'requeued';
    } catch (failure) {
      if (!(failure instanceof Unroutable)) throw failure;
      const error = new RemoteFault(
        'unknown-pattern',
        `no instance of ${service} handles ${incoming.pattern}`,
      );
      await this.answers.send(incoming, { error }, true);
      return 'fault';
    }
  }

  /**
   * Whether this service may publish a request under this name, which its sender chose. If not, the broker would close the
   * channel of the publisher, and all its unconfirmed messages would fail.
   */
  #isOwnRequest(pattern: string): boolean {
    const { service, connection, grants } = this.options;
    if (getServiceName(pattern) !== service) return false;
    return !connection.hasLoginPerService || grants?.().hasRequest(pattern) === true;
  }

  /** Forwards a request that only another version handles: a version with a share does not consume the common queue. */
  async #forwardToVersion(
    { kind, version }: ConsumedQueue,
    message: ConsumeMessage,
    incoming: Incoming,
  ): Promise<boolean> {
    const { service, split, publisher } = this.options;
    if (!split || kind === 'events' || version) return false;
    const { pattern } = incoming;
    if (!this.#isOwnRequest(pattern)) return false;
    const copy = this.#copy(message, incoming);
    for (const one of Object.keys(split.shares() ?? {})) {
      if (one === split.version) continue;
      try {
        const routingKey = requestKey(pattern, one);
        await publisher.publish({ exchange: exchanges.requests(service), routingKey, ...copy });
        return true;
      } catch (failure) {
        if (!(failure instanceof Unroutable)) throw failure;
      }
    }
    return false;
  }

  /** The same request with its original sender, under the mark of this service. */
  #copy(
    { properties }: ConsumeMessage,
    { pattern, data, packetId, messageId, correlationId, headers, sender, isEdited }: Incoming,
  ): Pick<Publication, 'content' | 'options'> {
    const { replyTo, expiration, deliveryMode } = properties;
    const { content, options } = encodeRequest({ pattern, data, ...(packetId && { id: packetId }) }, {
      replyTo,
      correlationId,
      expiration,
      messageId,
      headers: { ...(isEdited ? withoutMemberHeaders(headers) : headers), ...senderHeader(sender) },
      persistent: deliveryMode === 2,
      mandatory: true,
    } as Publication['options']);
    options.headers = this.marks.add(messageId, content, options.headers as Record<string, unknown>);
    return { content, options };
  }
}
