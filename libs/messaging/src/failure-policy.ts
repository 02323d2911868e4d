import { Rejection } from '@jogakbo/contract';
import type { Incoming } from './decoding.ts';
import { DecryptionFailed, UnknownKey } from './encryption.ts';
import { RemoteFault } from './faults.ts';
import { NotEncrypted } from './request-decryption.ts';
import type { ConsumedQueue, Outcome } from './server-options.ts';

/** Too many queries are being handled. The caller may retry later; `CallGuard` does not, because the callee has answered. */
export class Overloaded extends RemoteFault {
  constructor(service: string) {
    super('overloaded', `${service} is overloaded`);
  }
}

/** Requeues a request without a handler here: during a rolling update a newer version may handle it. */
class UnhandledPattern extends Error {
  override readonly name = 'UnhandledPattern';
}

/**
 * Milliseconds. A later deadline is not believed, because its sender writes it: a request must not return to its queue
 * endlessly. Twice the longest timeout of a call through the gateway.
 */
const maxRequeueMs = 120_000;

/** What is done with a message whose handling failed. */
export type FailureAction = 'requeue' | 'answer' | 'drop' | 'dead-letter' | 'retry';

/**
 * Decides what is done with a failed message. The first line that applies. Two cases are decided before: a request that
 * only another version handles is forwarded (`FailedMessages`), and an unreadable request is answered (`MessagePipeline`)
 * and then dead-lettered, or dropped if it is a query.
 *
 * | failure                                                          | action        |
 * | ---------------------------------------------------------------- | ------------- |
 * | another instance may handle or decrypt it while its caller waits | `requeue`     |
 * | a caller waits                                                   | `answer`      |
 * | no caller waits: a query                                         | `drop`        |
 * | - a rejection, unreadable, not encrypted, or encrypted wrongly   | `dead-letter` |
 * | - any other error                                                | `retry`       |
 * @param incoming undefined if the message could not be read
 */
export function decideOnFailure(
  error: unknown,
  kind: ConsumedQueue['kind'],
  incoming: Incoming | undefined,
): FailureAction {
  if (error instanceof UnhandledPattern) return 'requeue';
  if (error instanceof UnknownKey && incoming && isAwaited(incoming)) return 'requeue';
  if (incoming?.replyTo) return 'answer';
  if (kind === 'queries') return 'drop';
  if (!incoming || [Rejection, NotEncrypted, DecryptionFailed].some((type) => error instanceof type))
    return 'dead-letter';
  return 'retry';
}

/** Whether a failure is normal operation: it is not logged as an error. */
export const isExpected = (error: unknown): boolean =>
  error instanceof Rejection || error instanceof Overloaded;

/** The message returns to its queue because another instance may handle it. Not an error. */
export class LeftToOthers extends Error {
  override readonly name = 'LeftToOthers';
}

/** The outcome of a failed message, for metrics. */
export function toOutcome(error: unknown): Outcome {
  if (error instanceof Overloaded) return 'overloaded';
  return error instanceof Rejection ? 'rejection' : 'fault';
}

/** The error for a message that this instance has no handler for. */
export function createUnknownPatternError(service: string, incoming: Incoming): Error {
  const message = `${service} has no handler for ${incoming.pattern}`;
  if (isAwaited(incoming)) return new UnhandledPattern(message);
  return new RemoteFault('unknown-pattern', message);
}

/** Whether a caller still waits for the answer, with a plausible deadline. */
function isAwaited({ replyTo, callContext: { deadline } }: Incoming): boolean {
  if (replyTo === undefined || deadline === undefined) return false;
  const remaining = deadline - Date.now();
  return remaining > 0 && remaining <= maxRequeueMs;
}
