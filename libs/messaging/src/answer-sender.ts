import type { ConsumeMessage } from 'amqplib';
import { AnswerChannels } from './answer-channels.ts';
import { encodeAnswer, encodeAnswers, type HandlerOutcome } from './answer-encoding.ts';
import type { BrokerConnection } from './connection.ts';
import type { Incoming } from './decoding.ts';
import { RemoteFault } from './faults.ts';
import { TurnBatch } from './turn-batch.ts';
import type { ServerLogger } from './server-options.ts';
import { exchanges, queues } from './topology.ts';

/** The fields of a request that its answer needs. */
export type AnswerTarget = Pick<
  Incoming,
  'replyTo' | 'sender' | 'correlationId' | 'packetId' | 'readsBatches'
>;

/** An answer to be sent, and the login that sent the request. */
type PendingAnswer = Parameters<typeof encodeAnswers>[0][0] & { requester: string };

/** Sends the answers of a service. */
export class AnswerSender {
  readonly #batch = new TurnBatch<PendingAnswer>((to, all) => void this.#publishBatch(to, all));
  readonly #channels: AnswerChannels;
  #hasWarned = false;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly logger: ServerLogger,
  ) {
    this.#channels = new AnswerChannels(connection);
  }

  /**
   * Answers a request, if its caller waits.
   * @param isBatched true for a query: its answer is sent together with others of this event-loop turn. The answer of a
   *   command is sent before its acknowledgement
   * @throws TypeError if JSON cannot represent the response
   */
  send(target: AnswerTarget, outcome: HandlerOutcome, isBatched: boolean): void | Promise<void> {
    const { replyTo, sender, correlationId, readsBatches } = target;
    if (!replyTo) return;
    // The broker refuses other queues and would close the channel.
    if (this.connection.hasLoginPerService && !isReplyQueueOf(sender ?? '', replyTo)) {
      if (!this.#hasWarned) this.logger.warn(`cannot answer ${sender}: ${replyTo} is not its reply queue`);
      this.#hasWarned = true;
      return;
    }
    const answer = { correlationId, packet: encodeAnswer(target, outcome), requester: sender ?? '' };
    if (isBatched && readsBatches) return this.#batch.add(replyTo, answer);
    return this.#publish(replyTo, [answer]);
  }

  /**
   * Answers a request that cannot be read with an error, so that its caller does not wait for the timeout.
   * @param sender its verified sender
   * @param id the id of a request in a batch
   */
  async sendUnreadable(
    { properties }: ConsumeMessage,
    sender: string | undefined,
    error: Error,
    id?: string,
  ): Promise<void> {
    const replyTo = properties.replyTo as string | undefined;
    const correlationId = id ?? (properties.correlationId as string | undefined);
    await this.send(
      { replyTo, correlationId, packetId: correlationId, readsBatches: false, sender },
      { error: new RemoteFault('unreadable', `the request cannot be read: ${error.message}`) },
      false,
    );
  }

  /** Never throws: the requests are settled already, so their callers time out. */
  async #publishBatch(replyTo: string, answers: PendingAnswer[]): Promise<void> {
    try {
      await this.#publish(replyTo, answers);
    } catch (error) {
      this.logger.warn(`${answers.length} answers to ${replyTo} are lost: ${(error as Error).message}`);
    }
  }

  async #publish(replyTo: string, answers: PendingAnswer[]): Promise<void> {
    const { content, options } = encodeAnswers(answers);
    const { login } = this.connection;
    // The reply queue of a stock Nest client is bound to the default exchange only.
    const requester = parseReplyQueueLogin(replyTo);
    const exchange = requester === undefined ? '' : exchanges.replies(requester);
    const channel = await this.#channels.open(answers[0]!.requester);
    if (!channel)
      return this.logger.warn(`${answers.length} answers to ${replyTo} are lost: no channel is open`);
    channel.publish(exchange, replyTo, content, { ...options, userId: login });
  }

  async close(): Promise<void> {
    await this.#channels.close();
  }
}

/** The login in the name of a reply queue; undefined if it is not a `RabbitClient` queue. */
const parseReplyQueueLogin = (replyTo: string): string | undefined =>
  /^reply\.(.+)\.[\w-]+$/.exec(replyTo)?.[1];

/** Matches the broker permissions exactly: a refused answer would close the channel and lose other answers. */
function isReplyQueueOf(sender: string, replyTo: string): boolean {
  const prefix = queues.reply(sender, '');
  return replyTo.startsWith(prefix) && /^[\w-]+$/.test(replyTo.slice(prefix.length));
}
