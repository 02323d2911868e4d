import type { ConsumeMessage } from 'amqplib';
import { randomUUIDv7 } from 'node:crypto';
import { senderHeader } from './identity.ts';
import type { Publisher } from './publisher.ts';
import { exchanges, queues, retryKey } from './topology.ts';

interface Failed {
  service: string;
  queue: string;
  message: ConsumeMessage;
  /** Whose login sent it; from now on its own service does. */
  sender: string | undefined;
  /** This failure included. */
  failures: number;
  ladder: readonly number[];
  error: unknown;
}

/**
 * Puts a message that failed away: on the next rung of the ladder, or, past the last, in the dead-letter queue of the
 * service, with cause, stack, number of attempts and first and last time. The caller acknowledges after this.
 * @throws BrokerUnavailable when the broker did not confirm it; the message is then still in its queue
 */
export async function retryOrBury(
  publisher: Publisher,
  { service, queue, message, sender, failures, ladder, error }: Failed,
): Promise<void> {
  const { headers = {}, messageId, contentType } = message.properties;
  const cause = error instanceof Error ? error : new Error(String(error));
  const now = new Date().toISOString();
  const about = {
    ...headers,
    ...senderHeader(sender),
    failures,
    cause: `${cause.name}: ${cause.message}`.slice(0, 500),
    'first-failed-at': (headers['first-failed-at'] as string | undefined) ?? now,
  };
  const options = {
    messageId: (messageId as string | undefined) ?? randomUUIDv7(),
    contentType,
    persistent: true,
  };
  const delay = ladder[failures - 1];
  if (delay !== undefined) {
    await publisher.publish({
      exchange: exchanges.retry,
      routingKey: retryKey(delay, queue),
      content: message.content,
      options: {
        ...options,
        mandatory: true,
        expiration: String(Math.round(delay * (0.75 + Math.random() / 4))),
        headers: about,
      },
    });
  } else {
    await publisher.publish({
      exchange: exchanges.dead,
      routingKey: queues.dead(service),
      content: message.content,
      options: {
        ...options,
        mandatory: true,
        headers: { ...about, queue, stack: (cause.stack ?? '').slice(0, 4_000), 'last-failed-at': now },
      },
    });
  }
}
