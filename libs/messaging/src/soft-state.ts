import { randomUUIDv7 } from 'node:crypto';
import type { Incoming } from './decoding.ts';
import { encodeEvent } from './encoding.ts';
import { contextHeaders } from './message-headers.ts';
import type { Publisher } from './publisher.ts';
import { exchanges } from './topology.ts';

/** Larger messages are refused, in bytes. An announcement of this store has about 25,000. */
export const maxSoftStateBytes = 256 * 1024;

/** Every identified login may send a roll call. */
export const hasSender = ({ sender }: Incoming): boolean => sender !== undefined;

/** Publishes a non-persistent event about instances. @throws BrokerUnavailable */
export async function publishSoftState(
  publisher: Publisher,
  name: string,
  source: string,
  data: unknown,
): Promise<void> {
  const event = { id: randomUUIDv7(), name, source, time: new Date(), data };
  const { content, options } = encodeEvent(event, contextHeaders(undefined));
  await publisher.publish({
    exchange: exchanges.events(name),
    routingKey: name,
    content,
    options: { ...options, persistent: false },
  });
}
