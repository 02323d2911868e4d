import { defaultRetryDelays } from '@jogakbo/messaging/topology';
import { UsageError } from '../../terminal/cli-error.ts';

/**
 * The delays between the attempts of a failed message, in milliseconds. They are part of the names of the retry queues, so
 * every command must be given those with which the store was started.
 * @throws UsageError if RETRY_DELAYS is invalid
 */
export function readRetryDelays({ RETRY_DELAYS: text } = process.env): readonly number[] {
  if (!text) return defaultRetryDelays;
  const delays = text.split(',').map(Number);
  if (delays.every((delay) => Number.isSafeInteger(delay) && delay > 0)) return delays;
  throw new UsageError(`RETRY_DELAYS is "${text}": it must be milliseconds, separated by commas.`, {
    remedies: [`for example:  RETRY_DELAYS=${defaultRetryDelays.join()}`],
  });
}

/**
 * While the broker starts, it cannot yet dead-letter: an expired message, such as a retry, is tried again after this time.
 * RabbitMQ's default is three minutes. A duplicate, of a message that was not confirmed in time, is harmless: the inbox
 * recognizes it.
 */
const deadLetterTimeoutMs = 5_000;
/** For RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: rabbitmq.conf has no key for it. */
export const deadLetterArguments = `-rabbit dead_letter_worker_publisher_confirm_timeout ${deadLetterTimeoutMs}`;
