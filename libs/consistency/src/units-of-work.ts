import { randomUUIDv7 } from 'node:crypto';
import { service } from '@jogakbo/contract';
import { childTraceparent, MessageContext, type Middleware } from '@jogakbo/messaging';
import { z } from 'zod';
import type { PendingMessages } from './outbox-relay.ts';
import { DuplicateMessage, UnitOfWork, type WorkOptions } from './unit-of-work.ts';

/** Stands for the cause of work that no message caused: a timer, the start of the service. */
const InternalTrigger = service('occasion').event('arose', z.unknown());

/** Opens units of work: around every message of a service, and for work that no message caused. */
export class UnitsOfWork {
  /** @param options `wake` is called after every commit that left something in the outbox to be published now */
  constructor(private readonly options: WorkOptions & { wake: (left: PendingMessages) => void }) {}

  /** For `RabbitServer`: every command and event is handled in a unit of work, a repeated one gets its first answer. */
  readonly around: Middleware = async (context, next) => {
    const work = new UnitOfWork(context, this.options);
    try {
      // A repeated request must get its first answer even where the world has changed since, so look before working.
      if (context.incoming.idempotencyKey || context.incoming.redelivered) await work.mustBeNew();
      const answer = await next(work);
      await this.#commit(work, answer);
      return answer;
    } catch (error) {
      await work.rollback();
      if (error instanceof DuplicateMessage) return error.answer;
      throw error;
    }
  };

  /**
   * Runs `body` in a unit of work of its own.
   * @param subject what it is about, where it changes what messages about the same subject change
   * @throws what `body` throws, after everything was rolled back
   */
  async run<T>(body: (work: UnitOfWork) => Promise<T>, subject?: string): Promise<T> {
    const work = new UnitOfWork(new MessageContext(InternalTrigger, fromNobody()), this.options, subject);
    try {
      const result = await body(work);
      await this.#commit(work, undefined);
      return result;
    } catch (error) {
      await work.rollback();
      throw error;
    }
  }

  async #commit(work: UnitOfWork, answer: unknown): Promise<void> {
    const left = await work.commit(answer);
    if (left.rows.length > 0) this.options.wake(left);
  }
}

const fromNobody = () => ({
  pattern: InternalTrigger.name,
  data: undefined,
  messageId: randomUUIDv7(),
  sender: undefined,
  firstFailedAt: undefined,
  isHandedOn: false,
  isEdited: false,
  headers: {},
  replyTo: undefined,
  correlationId: undefined,
  packetId: undefined,
  context: { traceparent: childTraceparent(), language: 'ko' as const },
  idempotencyKey: undefined,
  redelivered: false,
  failures: 0,
});
