import { randomUUIDv7 } from 'node:crypto';
import { service, undeterminedLanguage } from '@jogakbo/contract';
import { childTraceparent, MessageContext, type Middleware } from '@jogakbo/messaging';
import { z } from 'zod';
import type { PendingMessages } from './outbox.ts';
import { DuplicateMessage } from './inbox.ts';
import { UnitOfWork, type WorkOptions } from './unit-of-work.ts';

/** The cause of work without a message, such as a timer or the start of the service. Never published. */
const InternalTrigger = service('internal').event('triggered', z.unknown());

/** Opens units of work: for every message of a service, and for work without a message. */
export class UnitsOfWork {
  /** @param options `wake` is called after every commit that wrote messages to publish now */
  constructor(private readonly options: WorkOptions & { wake: (pending: PendingMessages) => void }) {}

  /** Middleware of `RabbitServer`: handles each command and event in a unit of work; a repetition gets the first answer. */
  readonly middleware: Middleware = async (context, next) => {
    const work = new UnitOfWork(context, this.options);
    try {
      // A repetition must get the first answer even if data has changed since, so check before the handler runs.
      if (context.incoming.idempotencyKey || context.incoming.redelivered) await work.assertNew();
      const answer = await next(work);
      await this.#commit(work, answer);
      return answer;
    } catch (error) {
      const cause = await work.rollback(error);
      if (cause instanceof DuplicateMessage) return cause.answer;
      throw cause;
    }
  };

  /**
   * Runs `body` in a separate unit of work. It leaves an inbox record, too, which gives the transaction its id: SafeHorizon
   * relies on that.
   * @param subject set it if messages about the same subject change the same data
   * @throws the error of `body`, after the rollback
   */
  async run<T>(body: (work: UnitOfWork) => Promise<T>, subject?: string): Promise<T> {
    const work = new UnitOfWork(new MessageContext(InternalTrigger, createTrigger()), this.options, subject);
    try {
      const result = await body(work);
      await this.#commit(work, undefined);
      return result;
    } catch (error) {
      throw await work.rollback(error);
    }
  }

  async #commit(work: UnitOfWork, answer: unknown): Promise<void> {
    const pending = await work.commit(answer);
    if (pending.rows.length > 0) this.options.wake(pending);
  }
}

const createTrigger = () => ({
  pattern: InternalTrigger.name,
  data: undefined,
  messageId: randomUUIDv7(),
  sender: undefined,
  firstFailedAt: undefined,
  wasDeadLetteredElsewhere: false,
  isEdited: false,
  headers: {},
  replyTo: undefined,
  correlationId: undefined,
  packetId: undefined,
  callContext: { traceparent: childTraceparent(), language: undeterminedLanguage },
  idempotencyKey: undefined,
  redelivered: false,
  failures: 0,
});
