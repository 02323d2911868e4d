import type { AnyContract } from '@jogakbo/contract';
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { lastValueFrom, toArray } from 'rxjs';
import { AnswerSender } from './answer-sender.ts';
import { FailedMessages } from './failed-messages.ts';
import { HandlerTable, parseInput, type Handler } from './handler-table.ts';
import { Marks } from './marks.ts';
import type { MessageContext } from './message-context.ts';
import { MessagePipeline } from './message-pipeline.ts';
import { QueueConsumers, type WaitingMessages } from './queue-consumers.ts';
import { isSensitive } from './request-decryption.ts';
import { SenderCheck } from './sender-check.ts';
import type { ConsumedQueue, ServerOptions } from './server-options.ts';
import { ServiceKey } from './service-key.ts';
import { queues, type HandledNames } from './topology.ts';
import { VersionQueues } from './version-queues.ts';

/**
 * Nest transport that consumes a service's three queues.
 *
 * - A message is acknowledged after its handler has completed: after the commit, and after the answer was sent.
 * - Failed events, and commands without a waiting caller, are retried with growing delays, then dead-lettered. A waiting
 *   caller receives the fault instead; see `decideOnFailure`.
 * - Queries above the concurrency limit are refused at once.
 * - With one login per service, a message from an unauthorized sender is never handled or answered: the broker dead-letters
 *   it at once (queries are dropped).
 * - A request is never executed after its deadline. Input is validated before the handler runs, output before it is sent.
 * - Commands and events about the same subject are handled sequentially within an instance, until one is retried.
 * - During a traffic split it consumes the queues that `VersionQueues` selects.
 * - The data of a sensitive request is decrypted only on arrival: retries and dead letters stay encrypted. Unencrypted
 *   sensitive requests are refused.
 * - A service handles its own events and commands in the transaction that sends them (`dispatch`).
 */
export class RabbitServer extends Server implements CustomTransportStrategy {
  readonly #handlers = new HandlerTable();
  /** In order of registration. Nest's own map keeps one per contract. */
  readonly #nestHandlers: { name: string; handler: MessageHandler }[] = [];
  readonly #answers: AnswerSender;
  readonly #pipeline: MessagePipeline;
  /** Set by `listen`. */
  #consumers: QueueConsumers | undefined;
  #versions: VersionQueues | undefined;

  constructor(private readonly options: ServerOptions) {
    super();
    const { logger } = this;
    const handlers = this.#handlers;
    const marks = new Marks(options.key ?? ServiceKey.random());
    const answers = new AnswerSender(options.connection, logger);
    const senders = new SenderCheck(options, handlers, logger);
    const failed = new FailedMessages(options, handlers, marks, answers, logger);
    this.#answers = answers;
    this.#pipeline = new MessagePipeline({ options, handlers, marks, senders, answers, failed, logger });
  }

  /** Called by Nest for every handler method, before `listen`. */
  override addHandler(pattern: unknown, handler: MessageHandler, isEventHandler = false, extras = {}): void {
    super.addHandler(pattern, handler, isEventHandler, extras);
    this.#nestHandlers.push({ name: String(pattern), handler });
  }

  /**
   * Adds a handler that is not a Nest handler, such as a saga. Must be called before `listen`.
   * @throws Error if the contract is a request that has a handler
   */
  addContractHandler(contract: AnyContract, handler: Handler): void {
    this.#handlers.add(contract, handler);
  }

  /** True while every queue of the service is being consumed. */
  get ready(): boolean {
    return this.#consumers?.ready === true;
  }

  /** The messages that wait in each queue that this instance consumes. */
  async measureQueues(): Promise<WaitingMessages[]> {
    return (await this.#consumers?.measure()) ?? [];
  }

  /**
   * Runs the handlers of a contract immediately, within `context`.
   * @throws Rejection `invalid` if the data does not fit the contract
   */
  async dispatch(contract: AnyContract, data: unknown, context: MessageContext): Promise<unknown> {
    if (contract.kind !== 'event' && !this.#handlers.getContract(contract.name))
      throw new Error(`${this.options.service} has no handler for ${contract.name}`);
    return this.#handlers.run(contract, parseInput(contract.input, data), context);
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      this.#addNestHandlers();
      this.#checkDecryption();
      const { service, split } = this.options;
      const subscriptions = this.#handlers.listNames(service);
      const consumers = new QueueConsumers(this.options, subscriptions, (...received) =>
        this.#pipeline.receive(...received),
      );
      this.#consumers = consumers;
      if (split) this.#versions = this.#createVersionQueues(split, consumers, subscriptions);
      const consume = (kind: ConsumedQueue['kind']) =>
        subscriptions[kind].length > 0 && consumers.add({ queue: queues[kind](service), kind });
      await Promise.all([
        consume('events'),
        ...(this.#versions ? [this.#versions.open()] : [consume('commands'), consume('queries')]),
      ]);
      callback();
    } catch (error) {
      callback(error);
    }
  }

  #createVersionQueues(
    split: NonNullable<ServerOptions['split']>,
    consumers: QueueConsumers,
    names: HandledNames,
  ): VersionQueues {
    const { connection, service } = this.options;
    return new VersionQueues(split, {
      service,
      connection,
      names,
      isConsuming: (queue) => consumers.has(queue),
      consume: (kind, version) => consumers.add({ queue: queues[kind](service, version), kind, version }),
      stopConsuming: (queue) => consumers.remove(queue),
    });
  }

  #addNestHandlers(): void {
    for (const { name, handler } of this.#nestHandlers) {
      const contract = handler.extras?.['contract'] as AnyContract | undefined;
      if (!contract) throw new Error(`the handler of ${name} is not marked with @Handles(Contract)`);
      if (contract.kind !== 'event' && contract.service !== this.options.service) {
        throw new Error(`${this.options.service} cannot handle ${name}: it belongs to ${contract.service}`);
      }
      this.addContractHandler(contract, async (data, context) => {
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

  #checkDecryption(): void {
    const sensitive = this.#handlers.contracts.filter(isSensitive).map(({ name }) => name);
    if (sensitive.length > 0 && !this.options.decryption)
      throw new Error(`${sensitive.join(', ')}: a sensitive contract needs the option "decryption"`);
  }

  /** Must be called after each change of the split. */
  updateSplit(): void {
    this.#versions?.update();
  }

  /** Stops consuming, completes the messages in progress (at most `timeoutMs`), and closes. None is redelivered. */
  async close(timeoutMs = 6_000): Promise<void> {
    this.#consumers?.stopOpening();
    await this.#versions?.close();
    await this.#consumers?.close(timeoutMs);
    await this.#answers.close();
  }

  on(): never {
    throw new Error('RabbitServer emits no events; use ready');
  }

  unwrap<T>(): T {
    return this.options.connection as T;
  }
}
