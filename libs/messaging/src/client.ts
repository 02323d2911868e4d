import { randomUUIDv7 } from 'node:crypto';
import { CallPolicy, type AnyRequest, type Input, type Reply } from '@jogakbo/contract';
import { ClientProxy, type ReadPacket, type WritePacket } from '@nestjs/microservices';
import type { Channel } from 'amqplib';
import { currentCall, type CallContext } from './call-context.ts';
import { BrokerUnavailable, KeptChannel, type BrokerConnection } from './connection.ts';
import { Unroutable, type Publisher } from './publisher.ts';
import { exchanges } from './topology.ts';
import { BrokerAway, contextHeaders, decodeAnswer, encodeEvent, encodeRequest, RemoteFault } from './wire.ts';

export interface AskOptions {
  /** Milliseconds to wait at most; less where the deadline of the work at hand is nearer. */
  timeout?: number;
}

/** Asks another service and waits for its answer; see `RabbitClient.ask`. Injectable by this name. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- an injectable that is called like a function
export abstract class Ask {}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- see above
export interface Ask {
  <C extends AnyRequest>(contract: C, input: Input<C>, options?: AskOptions): Promise<Reply<C>>;
}

export interface RequestOptions {
  context?: CallContext | undefined;
  timeout?: number | undefined;
  /** A command must not vanish with the broker; a query may. */
  persistent?: boolean;
  idempotencyKey?: string | undefined;
  /** How the callee wants to be asked. */
  policy?: CallPolicy | undefined;
}

/** Stands between a caller and all those it asks; see `CallGuard` of libs/resilience. */
export type Guard = <T>(
  call: { callee: string; policy: CallPolicy; safe: boolean; deadline: number },
  attempt: () => Promise<T>,
) => Promise<T>;

const unguarded: Guard = (_, attempt) => attempt();
const usual = CallPolicy.parse({});

/**
 * Whoever waits for us is told in time that others kept us waiting: a tenth of what is left, and no more than this many
 * milliseconds, is kept for that. Else our silence would be taken for ours.
 */
const toAnswer = 200;

function within(deadline: number | undefined): number {
  if (deadline === undefined) return Infinity;
  return deadline - Math.min(toAnswer, Math.max(0, deadline - Date.now()) / 10);
}

interface Pending {
  resolve(response: unknown): void;
  reject(error: unknown): void;
}

const defaultTimeout = 5_000;

/**
 * Nest client over confirm channels. Every request has a deadline, after which it is not run: a query expires on the
 * broker, a command is dropped by its consumer. None stays pending after it, nor after a disconnect.
 */
export class RabbitClient extends ClientProxy {
  readonly #pending = new Map<string, Pending>();
  #replyKey = '';
  readonly #replies: KeptChannel;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly publisher: Publisher,
    private readonly source: string,
    private readonly guard: Guard = unguarded,
  ) {
    super();
    this.#replies = new KeptChannel(
      connection,
      (model) => model.createChannel(),
      (channel) => this.#consumeReplies(channel),
    );
  }

  get ready(): boolean {
    return this.#replies.current !== undefined && this.publisher.ready;
  }

  async connect(): Promise<void> {
    await this.#replies.open();
  }

  /**
   * Asks a service for what its contract promises.
   * @throws Rejection the service's "no"
   * @throws RemoteFault `timeout`, `unavailable` (nobody takes it, or the broker is away), `internal`, and
   *   `contract-broken` where the answer does not fit the contract
   */
  readonly ask = async <C extends AnyRequest>(
    contract: C,
    input: Input<C>,
    { timeout }: AskOptions = {},
  ): Promise<Reply<C>> => {
    const response = await this.request(contract.name, input, {
      timeout,
      context: currentCall(),
      persistent: contract.kind === 'command',
      policy: contract.policy,
    });
    const answer = contract.output.safeParse(response ?? undefined);
    if (answer.success) return answer.data as Reply<C>;
    throw new RemoteFault('contract-broken', `${contract.name}: the answer does not fit the contract`);
  };

  /** Like `ask`, for a caller that knows a request only by name. Gives the response as it came. */
  async request(name: string, data: unknown, options: RequestOptions = {}): Promise<unknown> {
    const { context, timeout = defaultTimeout, persistent = false, policy = usual } = options;
    const deadline = Math.min(Date.now() + timeout, within(context?.deadline));
    const call = { callee: name.split('.', 1)[0]!, policy, safe: !persistent, deadline };
    return this.guard(call, () => this.#attempt(name, data, deadline, options));
  }

  async #attempt(
    name: string,
    data: unknown,
    deadline: number,
    { context, persistent = false, idempotencyKey }: RequestOptions,
  ): Promise<unknown> {
    const remaining = deadline - Date.now();
    if (remaining <= 0) throw new RemoteFault('timeout', `no time left for ${name}`);
    if (!this.ready) throw new BrokerAway('the broker is out of reach');

    const id = randomUUIDv7();
    const { content, options } = encodeRequest(
      { pattern: name, data, id },
      {
        messageId: id,
        correlationId: id,
        replyTo: this.#replyKey,
        persistent,
        mandatory: true,
        // A command that expired on the broker would lie among the dead letters; its consumer drops it instead.
        ...(!persistent && { expiration: String(Math.max(1, Math.ceil(remaining))) }),
        headers: {
          ...contextHeaders(context),
          deadline,
          ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
        },
      },
    );
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { resolve, reject });
        timer = setTimeout(
          () => reject(new RemoteFault('timeout', `${name} did not answer in time`)),
          remaining,
        );
        this.publisher
          .publish({ exchange: exchanges.commands, routingKey: name, content, options })
          .catch((error) => {
            if (error instanceof BrokerUnavailable) reject(new BrokerAway(error.message));
            else if (error instanceof Unroutable) reject(new RemoteFault('unavailable', error.message));
            else reject(error);
          });
      });
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  async #consumeReplies(channel: Channel): Promise<void> {
    await channel.assertExchange(exchanges.replies, 'direct');
    await channel.assertExchange(exchanges.commands, 'direct');
    // The queue is called like the key: a stock Nest server answers by the queue's name. A new one each time, for the
    // broker may not have noticed yet that the connection of the one before is gone.
    this.#replyKey = `reply.${randomUUIDv7()}`;
    const { queue } = await channel.assertQueue(this.#replyKey, { exclusive: true, autoDelete: true });
    await channel.bindQueue(queue, exchanges.replies, queue);
    channel.on('close', () => {
      for (const { reject } of this.#pending.values()) {
        reject(new BrokerAway('the connection to the broker was lost; the request may have been run'));
      }
    });
    await channel.consume(
      queue,
      (message) => {
        if (!message) return void channel.close().catch(() => {});
        const pending = this.#pending.get(message.properties.correlationId as string);
        if (!pending) return; // its caller has given up
        try {
          pending.resolve(decodeAnswer(message.content));
        } catch (error) {
          pending.reject(error);
        }
      },
      { noAck: true },
    );
  }

  /** For Nest's `send()`: the pattern is the contract's name. */
  protected publish(packet: ReadPacket, callback: (packet: WritePacket) => void): () => void {
    let wanted = true;
    this.request(String(packet.pattern), packet.data, { context: currentCall() }).then(
      (response) => wanted && callback({ response, isDisposed: true }),
      (err: unknown) => wanted && callback({ err, isDisposed: true }),
    );
    return () => (wanted = false);
  }

  /** For Nest's `emit()`. An event of a transaction leaves through the outbox instead. */
  protected async dispatchEvent<T>(packet: ReadPacket): Promise<T> {
    const event = { id: randomUUIDv7(), name: String(packet.pattern), source: this.source, time: new Date() };
    const { content, options } = encodeEvent({ ...event, data: packet.data }, contextHeaders(currentCall()));
    await this.publisher.publish({ exchange: exchanges.events, routingKey: event.name, content, options });
    return undefined as T;
  }

  async close(): Promise<void> {
    await this.#replies.close();
  }

  unwrap<T>(): T {
    return this.connection as T;
  }
}
