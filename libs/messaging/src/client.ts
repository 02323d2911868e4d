import { randomUUIDv7 } from 'node:crypto';
import { CallPolicy, type AnyRequest, type Input, type Reply } from '@jogakbo/contract';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import type { Channel, ConsumeMessage } from 'amqplib';
import { currentCall, type CallContext } from './call-context.ts';
import { CallEncryption } from './call-encryption.ts';
import { BrokerUnavailable, RecoveringChannel, type BrokerConnection } from './connection.ts';
import { Unroutable, type Publisher } from './publisher.ts';
import type { Recipients } from './recipients.ts';
import type { Splitter } from './split.ts';
import { assertExchange, exchanges, getOwner, queues, requestKey } from './topology.ts';
import { RequestBatch } from './request-batch.ts';
import {
  BrokerDisconnected,
  contextHeaders,
  decodeAnswers,
  encodeEvent,
  encodeRequests,
  RemoteFault,
  type Request,
} from './wire.ts';

export interface AskOptions {
  /** Milliseconds to wait at most; less if the current call has an earlier deadline. */
  timeout?: number;
}

/** Sends a request to another service and waits for its answer; see `RabbitClient.ask`. Injectable by this name. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- an injectable that is called like a function
export abstract class Ask {}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- see above
export interface Ask {
  <C extends AnyRequest>(contract: C, input: Input<C>, options?: AskOptions): Promise<Reply<C>>;
}

export interface RequestOptions {
  context?: CallContext | undefined;
  timeout?: number | undefined;
  /** True for commands: they survive a broker restart. Queries need not. */
  persistent?: boolean;
  idempotencyKey?: string | undefined;
  /** The call policy that the callee declares. */
  policy?: CallPolicy | undefined;
  /**
   * True for the gateway: adds the member and the client address. Receivers ignore both from any other service, so member
   * data that a callee needs is part of the input.
   */
  forCaller?: boolean;
  /** Encrypts the request and its answer. Requests that the callee announced as sensitive are always encrypted. */
  sensitive?: boolean | undefined;
}

/** Wraps every call to another service; see `CallGuard` of libs/resilience. */
export type Guard = <T>(
  call: { callee: string; policy: CallPolicy; safe: boolean; deadline: number },
  attempt: () => Promise<T>,
) => Promise<T>;

const callUnguarded: Guard = (_, attempt) => attempt();
const defaultPolicy = CallPolicy.parse({});

/**
 * A tenth of the remaining time, at most so many milliseconds, is reserved to report a callee's timeout to the caller.
 * Without this the caller would time out too, and count the failure against this service.
 */
const answerReserveMs = 200;

function subtractReserve(deadline: number | undefined): number {
  if (deadline === undefined) return Infinity;
  return deadline - Math.min(answerReserveMs, Math.max(0, deadline - Date.now()) / 10);
}

interface Pending {
  /** Only this service may answer. */
  callee: string;
  /** The name of the request, if its answer must be encrypted. */
  encryptedAs: string | undefined;
  resolve(response: unknown): void;
  reject(error: unknown): void;
}

/** A request about to be published. */
interface Outgoing extends Request {
  version: string | undefined;
  persistent: boolean;
  deadline: number;
}

const defaultTimeout = 5_000;

/**
 * Nest client over confirm channels. Every request has a deadline, after which it is not executed: a query expires on the
 * broker, a command is dropped by its consumer. No request stays pending after its deadline or after a disconnect.
 */
export class RabbitClient extends ClientProxy {
  readonly #pending = new Map<string, Pending>();
  /** Batches queries of one event-loop iteration. Commands are not batched: each is retried and dead-lettered alone. */
  readonly #batch = new RequestBatch<Outgoing>((_, requests) => this.#send(requests, requests[0]!.version));
  #replyKey = '';
  readonly #encryption: CallEncryption;
  #connecting: Promise<void> | undefined;
  readonly #replies: RecoveringChannel;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly guard: Guard = callUnguarded,
    private readonly splitter?: Splitter,
    recipients?: Recipients,
  ) {
    super();
    this.#encryption = new CallEncryption(recipients);
    this.#replies = new RecoveringChannel(
      connection,
      (model) => model.createChannel(),
      (channel) => this.#consumeReplies(channel),
    );
  }

  get ready(): boolean {
    return this.#replies.current !== undefined && this.publisher.ready;
  }

  /** Opens the reply queue. Idempotent: Nest calls it before every `send()` and `emit()`. */
  connect(): Promise<void> {
    return (this.#connecting ??= this.#replies.open().catch((error: unknown) => {
      this.#connecting = undefined;
      throw error;
    }));
  }

  /**
   * Sends a request and waits for its output.
   * @throws Rejection if the service rejects the request
   * @throws RemoteFault `timeout`, `unavailable` (no instance consumes it, the broker is unreachable, or no encryption
   *   key is known yet), `internal`, and `contract-broken` if the answer does not fit the contract
   */
  readonly ask = async <C extends AnyRequest>(
    contract: C,
    input: Input<C>,
    { timeout }: AskOptions = {},
  ): Promise<Reply<C>> => {
    const response = await this.request(contract.name, input, {
      timeout,
      context: currentCall(),
      forCaller: false,
      persistent: contract.kind === 'command',
      policy: contract.policy,
      sensitive: contract.sensitive,
    });
    const answer = contract.output.safeParse(response ?? undefined);
    if (answer.success) return answer.data as Reply<C>;
    throw new RemoteFault('contract-broken', `${contract.name}: the answer does not fit the contract`);
  };

  /** Like `ask`, for a caller that knows only the name of a request. Returns the response without validation. */
  request(name: string, data: unknown, options: RequestOptions = {}): Promise<unknown> {
    const { context, timeout = defaultTimeout, persistent = false, policy = defaultPolicy } = options;
    const deadline = Math.min(Date.now() + timeout, subtractReserve(context?.deadline));
    const call = { callee: getOwner(name), policy, safe: !persistent, deadline };
    return this.guard(call, () => this.#attempt(name, data, deadline, policy, options));
  }

  async #attempt(
    name: string,
    data: unknown,
    deadline: number,
    policy: CallPolicy,
    { context, persistent = false, idempotencyKey, sensitive, forCaller = true }: RequestOptions,
  ): Promise<unknown> {
    const isSensitive = this.#encryption.isRequired(name, sensitive);
    const remaining = deadline - Date.now();
    if (remaining <= 0) throw new RemoteFault('timeout', `no time left for ${name}`);
    if (!this.ready) throw new BrokerDisconnected('the connection to the broker is down');

    const id = randomUUIDv7();
    const encrypted = isSensitive ? await this.#encryption.encrypt(name, data) : { data, headers: {} };
    const headers = {
      ...contextHeaders(forCaller ? context : withoutCaller(context)),
      deadline,
      ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
      ...encrypted.headers,
    };
    const version = this.splitter?.versionFor(getOwner(name), context);
    const outgoing = { pattern: name, version, data: encrypted.data, id, headers, persistent, deadline };
    const pending = { callee: getOwner(name), encryptedAs: isSensitive ? name : undefined };
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { ...pending, resolve, reject });
        timer = setTimeout(
          () => reject(new RemoteFault('timeout', `${name} did not answer in time`)),
          remaining,
        );
        if (persistent || !policy.batches) this.#send([outgoing], version);
        else this.#batch.add(requestKey(name, version), outgoing);
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  /** Sends to the selected version; if that version is unavailable, to the others at once. */
  #send(requests: Outgoing[], version: string | undefined): void {
    const { id, pattern, persistent } = requests[0]!;
    const remaining = Math.max(...requests.map(({ deadline }) => deadline)) - Date.now();
    const { content, options } = encodeRequests(requests, {
      messageId: id,
      replyTo: this.#replyKey,
      persistent,
      mandatory: true,
      // A command that expired on the broker would be dead-lettered; its consumer drops it instead.
      ...(!persistent && { expiration: String(Math.max(1, Math.ceil(remaining))) }),
    });
    const routingKey = requestKey(pattern, version);
    this.publisher
      .publish({ exchange: exchanges.requests(pattern), routingKey, content, options })
      .catch((error: unknown) => {
        if (version !== undefined && error instanceof Unroutable) {
          requests.forEach(() => this.splitter?.onFallback?.(getOwner(pattern), version));
          return this.#send(requests, undefined);
        }
        for (const { id } of requests) this.#pending.get(id)?.reject(toCallError(error));
      });
  }

  async #consumeReplies(channel: Channel): Promise<void> {
    const { login, operator } = this.connection;
    const exchange = exchanges.replies(login);
    await assertExchange(channel, exchange, operator !== undefined);
    // A new name each time: the broker may still hold the exclusive queue of the previous connection.
    this.#replyKey = queues.reply(login, randomUUIDv7());
    const { queue } = await channel.assertQueue(this.#replyKey, { exclusive: true, autoDelete: true });
    await channel.bindQueue(queue, exchange, queue);
    channel.on('close', () => {
      for (const { reject } of this.#pending.values()) {
        reject(
          new BrokerDisconnected('the connection to the broker was lost; the request may have been executed'),
        );
      }
    });
    await channel.consume(
      queue,
      (message) => {
        if (!message) return void channel.close().catch(() => {});
        for (const { id, response, error } of parseAnswers(message)) {
          const pending = this.#pending.get(id);
          if (!pending) continue; // its caller has timed out
          // The request stays pending: its callee may still answer.
          if (operator !== undefined && message.properties.userId !== pending.callee)
            this.connection.rejectUnauthorizedSender('answer');
          else if (error) pending.reject(error);
          else if (pending.encryptedAs === undefined) pending.resolve(response);
          else
            void this.#encryption
              .decrypt(pending.encryptedAs, response)
              .then(pending.resolve, pending.reject);
        }
      },
      { noAck: true },
    );
  }

  /** For Nest's `send()`: the pattern is the contract's name. Not batched, because it may be a command. */
  protected publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    let isWanted = true;
    this.request(String(packet.pattern), packet.data, {
      context: currentCall(),
      forCaller: false,
      persistent: true,
    }).then(
      (response) => isWanted && callback({ response, isDisposed: true }),
      (err: unknown) => isWanted && callback({ err, isDisposed: true }),
    );
    return () => (isWanted = false);
  }

  /** For Nest's `emit()`. Events of a transaction are published through the outbox instead. */
  protected async dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    const event = { id: randomUUIDv7(), name: String(packet.pattern), source: this.source, time: new Date() };
    const { content, options } = encodeEvent(
      { ...event, data: packet.data },
      contextHeaders(withoutCaller(currentCall())),
    );
    await this.publisher.publish({
      exchange: exchanges.events(event.name),
      routingKey: event.name,
      content,
      options,
    });
    return undefined as T;
  }

  async close(): Promise<void> {
    await this.#replies.close();
  }

  unwrap<T>(): T {
    return this.connection as T;
  }
}

/** Returns the context without the member and the client address. */
function withoutCaller(context: CallContext | undefined): CallContext | undefined {
  if (!context) return undefined;
  const { caller: _caller, address: _address, ...rest } = context;
  return rest;
}

/** Returns no answers if they cannot be parsed: their callers time out, other callers are not affected. */
function parseAnswers(message: ConsumeMessage): ReturnType<typeof decodeAnswers> {
  try {
    return decodeAnswers(message);
  } catch {
    return [];
  }
}

function toCallError(error: unknown): unknown {
  if (error instanceof BrokerUnavailable) return new BrokerDisconnected(error.message);
  if (error instanceof Unroutable) return new RemoteFault('unavailable', error.message);
  return error;
}
