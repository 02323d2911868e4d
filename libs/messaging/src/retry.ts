import type { ConsumeMessage } from 'amqplib';
import { randomUUIDv7 } from 'node:crypto';
import { senderHeader } from './identity.ts';
import type { Marks } from './marks.ts';
import type { Publisher } from './publisher.ts';
import { exchanges, queues, retryKey } from './topology.ts';

interface Failed {
  service: string;
  queue: string;
  message: ConsumeMessage;
  /** The original sender; the service publishes the message with this sender under its mark. */
  sender: string | undefined;
  /** See `Origin.isEdited`. */
  isEdited: boolean;
  marks: Marks;
  firstFailedAt: string | undefined;
  /** Including this failure. */
  failures: number;
  retryDelays: readonly number[];
  error: unknown;
}

/**
 * Publishes a failed message to the retry queue of the next delay, or, after the last one, to the dead-letter queue of the
 * service, with cause, stack, number of attempts and first and last time. The caller acknowledges after this.
 * @throws BrokerUnavailable if the broker did not confirm it; the message is then still in its queue
 */
export async function retryOrDeadLetter(
  publisher: Publisher,
  { service, queue, message, sender, isEdited, marks, firstFailedAt, failures, retryDelays, error }: Failed,
): Promise<void> {
  const { headers = {}, contentType } = message.properties;
  const messageId = (message.properties.messageId as string | undefined) ?? randomUUIDv7();
  const cause = error instanceof Error ? error : new Error(String(error));
  const now = new Date().toISOString();
  const kept = withoutDeliveryHeaders(isEdited ? withoutMemberHeaders(headers) : headers);
  const copied = {
    ...marks.add(messageId, message.content, { ...kept, ...senderHeader(sender) }),
    failures,
    cause: `${cause.name}: ${cause.message}`.slice(0, 500),
    'first-failed-at': firstFailedAt ?? now,
  };
  const options = { messageId, contentType, persistent: true };
  const delay = retryDelays[failures - 1];
  if (delay !== undefined) {
    await publisher.publish({
      exchange: exchanges.retry(service),
      routingKey: retryKey(delay, queue),
      content: message.content,
      options: {
        ...options,
        mandatory: true,
        // Only downwards: the queue's own TTL is the upper limit. Spreads the retries of messages that failed together.
        expiration: String(Math.round(delay * (0.75 + Math.random() / 4))),
        headers: copied,
      },
    });
  } else {
    await publisher.publish({
      exchange: exchanges.dead(service),
      routingKey: queues.dead(service),
      content: message.content,
      options: {
        ...options,
        mandatory: true,
        headers: { ...copied, queue, stack: (cause.stack ?? '').slice(0, 4_000), 'last-failed-at': now },
      },
    });
  }
}

/**
 * Removes the member and the client address of an edited message before the service marks it: the new mark covers the
 * edited data, so that the next receiver would use them for that data.
 */
export function withoutMemberHeaders({
  caller: _caller,
  address: _address,
  ...headers
}: Record<string, unknown>) {
  return headers;
}

/** Removes headers about earlier deliveries, which the broker or a sender wrote. */
export const withoutDeliveryHeaders = (headers: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => !/^x-(death|first-death|last-death|delivery-count|acquired-count|opt)/.test(name),
    ),
  );
