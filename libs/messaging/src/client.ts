import { randomUUIDv7 } from 'node:crypto';
import { CallPolicy, Rejection, type AnyRequest, type Input, type Reply } from '@jogakbo/contract';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import { AnswerQueue } from './answer-queue.ts';
import { currentCall, type CallContext } from './call-context.ts';
import { CallEncryption } from './call-encryption.ts';
import type { AskOptions, Guard, RequestOptions } from './call-options.ts';
import { BrokerUnavailable, type BrokerConnection } from './connection.ts';
import { encodeEvent, encodeRequests, type Encoded, type OutgoingRequest } from './encoding.ts';
import { BrokerDisconnected, RemoteFault } from './faults.ts';
import { contextHeaders } from './message-headers.ts';
import { Unroutable, type Publisher } from './publisher.ts';
import type { Recipients } from './recipients.ts';
import { describeMessage, toErrorType, type Spans } from './spans.ts';
import { TurnBatch } from './turn-batch.ts';
import type { Splitter } from './split.ts';
import { exchanges, getServiceName, requestKey } from './topology.ts';
import type { TraceContext } from './trace-context.ts';

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

/** A request about to be published. */
interface PendingRequest extends OutgoingRequest {
  version: string | undefined;
  kind: 'command' | 'query';
  deadline: number;
}

/** One attempt of a request: a retry has another id. */
interface Attempt {
  id: string;
  name: string;
  data: unknown;
  deadline: number;
  policy: CallPolicy;
}

const defaultTimeout = 5_000;

/**
 * Nest client over confirm channels. Every request has a deadline, after which it is not executed: a query expires on the
 * broker, a command is dropped by its consumer. No request stays pending after its deadline or after a disconnect.
 */
export class RabbitClient extends ClientProxy {
  /** Batches queries of one event-loop iteration. Commands are not batched: each is retried and dead-lettered alone. */
  readonly #batch = new TurnBatch<PendingRequest>((_, requests) =>
    this.#send(requests, requests[0]!.version),
  );
  readonly #encryption: CallEncryption;
  #connecting: Promise<void> | undefined;
  readonly #answers: AnswerQueue;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly guard: Guard = callUnguarded,
    private readonly splitter?: Splitter,
    recipients?: Recipients,
    private readonly spans?: Spans,
  ) {
    super();
    this.#encryption = new CallEncryption(recipients);
    this.#answers = new AnswerQueue(connection, this.#encryption);
  }

  get ready(): boolean {
    return this.#answers.ready && this.publisher.ready;
  }

  /** Opens the reply queue. Idempotent: Nest calls it before every `send()` and `emit()`. */
  connect(): Promise<void> {
    return (this.#connecting ??= this.#answers.open().catch((error: unknown) => {
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
      withMember: false,
      kind: contract.kind,
      policy: contract.policy,
      sensitive: contract.sensitive,
    });
    // No output is null on the wire; an output that may be both null and undefined arrives as null.
    const asSent = contract.output.safeParse(response);
    const answer = asSent.success || response !== null ? asSent : contract.output.safeParse(undefined);
    if (answer.success) return answer.data as Reply<C>;
    throw new RemoteFault('contract-broken', `${contract.name}: the answer does not fit the contract`);
  };

  /** Like `ask`, for a caller that knows only the name of a request. Returns the response without validation. */
  request(name: string, data: unknown, options: RequestOptions = {}): Promise<unknown> {
    const { context, timeout = defaultTimeout, kind = 'query', policy = defaultPolicy } = options;
    const deadline = Math.min(Date.now() + timeout, subtractReserve(context?.deadline));
    const call = { callee: getServiceName(name), policy, safe: kind === 'query', deadline };
    return this.guard(call, () =>
      this.#attemptInSpan({ id: randomUUIDv7(), name, data, deadline, policy }, options),
    );
  }

  async #attemptInSpan(attempt: Attempt, options: RequestOptions): Promise<unknown> {
    const { id, name } = attempt;
    const attributes = describeMessage('send', name, id);
    const span = this.spans?.start({ name: `send ${name}`, kind: 'client', attributes }, options.context);
    try {
      const response = await this.#attempt(attempt, options, span?.trace);
      span?.end();
      return response;
    } catch (error) {
      span?.end(error instanceof Rejection ? undefined : toErrorType(error));
      throw error;
    }
  }

  async #attempt(
    { id, name, data, deadline, policy }: Attempt,
    { context, kind = 'query', idempotencyKey, sensitive, withMember = true }: RequestOptions,
    trace: TraceContext | undefined,
  ): Promise<unknown> {
    const isSensitive = this.#encryption.isRequired(name, sensitive);
    const remaining = deadline - Date.now();
    if (remaining <= 0) throw new RemoteFault('timeout', `no time left for ${name}`);
    if (!this.ready) throw new BrokerDisconnected('the connection to the broker is down');

    const encrypted = isSensitive ? await this.#encryption.encrypt(name, data) : { data, headers: {} };
    const headers = {
      ...contextHeaders(withMember ? context : withoutMember(context)),
      ...trace,
      deadline,
      ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
      ...encrypted.headers,
    };
    const version = this.splitter?.versionFor(getServiceName(name), context);
    const outgoing = { pattern: name, version, data: encrypted.data, id, headers, kind, deadline };
    const call = { name, callee: getServiceName(name), isEncrypted: isSensitive };
    return this.#answers.wait(id, call, remaining, () => {
      if (kind === 'command' || !policy.batches) this.#send([outgoing], version);
      else this.#batch.add(requestKey(name, version), outgoing);
    });
  }

  /**
   * Sends to the selected version; if that version is unavailable, to the others at once. Never throws: a request that JSON
   * cannot represent fails alone, also in a batch.
   */
  #send(requests: PendingRequest[], version: string | undefined): void {
    const { id, pattern } = requests[0]!;
    let encoded: Encoded;
    try {
      encoded = this.#encode(requests);
    } catch (error) {
      if (requests.length === 1) return this.#answers.fail(id, error);
      return requests.forEach((request) => this.#send([request], version));
    }
    const { content, options } = encoded;
    const routingKey = requestKey(pattern, version);
    this.publisher
      .publish({ exchange: exchanges.requests(pattern), routingKey, content, options })
      .catch((error: unknown) => {
        if (version !== undefined && error instanceof Unroutable) {
          requests.forEach(() => this.splitter?.onVersionUnavailable?.(getServiceName(pattern), version));
          return this.#send(requests, undefined);
        }
        for (const { id } of requests) this.#answers.fail(id, toCallError(error));
      });
  }

  /** @throws TypeError if JSON cannot represent the data of a request, for example a BigInt */
  #encode(requests: PendingRequest[]): Encoded {
    const { id, kind } = requests[0]!;
    // A command survives a restart of the broker.
    const persistent = kind === 'command';
    const remaining = Math.max(...requests.map(({ deadline }) => deadline)) - Date.now();
    return encodeRequests(requests, {
      messageId: id,
      replyTo: this.#answers.name,
      persistent,
      mandatory: true,
      // A command that expired on the broker would be dead-lettered; its consumer drops it instead.
      ...(!persistent && { expiration: String(Math.max(1, Math.ceil(remaining))) }),
    });
  }

  /**
   * Nest calls it for `send()`; the pattern is the contract's name. Only the name is known, and it may be a command: so
   * every request is sent as one, neither batched nor expiring on the broker.
   */
  protected publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    let isWanted = true;
    this.request(String(packet.pattern), packet.data, {
      context: currentCall(),
      withMember: false,
      kind: 'command',
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
      contextHeaders(withoutMember(currentCall())),
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
    await this.#answers.close();
  }

  unwrap<T>(): T {
    return this.connection as T;
  }
}

/** Returns the context without the member and the client address. */
function withoutMember(context: CallContext | undefined): CallContext | undefined {
  if (!context) return undefined;
  const { caller: _caller, address: _address, ...rest } = context;
  return rest;
}

function toCallError(error: unknown): unknown {
  if (error instanceof BrokerUnavailable) return new BrokerDisconnected(error.message);
  if (error instanceof Unroutable) return new RemoteFault('unavailable', error.message);
  return error;
}
