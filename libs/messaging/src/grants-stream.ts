import type { Channel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { BusDescription } from './grants.ts';
import { grantsStream } from './topology.ts';

/** Milliseconds to wait for the first message of a stream that may be empty. */
const emptyTimeoutMs = 500;
/** Reading ends after so many milliseconds without a message: the last chunk of a stream may hold several messages. */
const quietTimeoutMs = 50;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const Document = z.object({ services: z.array(BusDescription) });

/**
 * Declares the stream of the services that the deploy step registered. Every service can read it; only broker operators
 * can write it. Idempotent.
 */
export async function assertGrantsStream(channel: Channel): Promise<void> {
  await channel.assertQueue(grantsStream, {
    durable: true,
    arguments: {
      'x-queue-type': 'stream',
      'x-max-length-bytes': 4_000_000,
      'x-stream-max-segment-size-bytes': 1_000_000,
    },
  });
}

/**
 * Replaces all registered services atomically.
 * @param operator the login of the channel: readers ignore every other login
 */
export async function publishGrants(
  channel: ConfirmChannel,
  services: readonly BusDescription[],
  operator: string,
): Promise<void> {
  const content = Buffer.from(JSON.stringify({ services }));
  const options = { messageId: randomUUIDv7(), userId: operator, persistent: true, mandatory: true };
  channel.publish('', grantsStream, content, { ...options, contentType: 'application/json' });
  await channel.waitForConfirms();
}

/**
 * Reads the registered services from a message of the stream.
 * @param operator the only trusted login: the broker prevents other logins from using its name
 * @returns undefined if another login wrote the message, or it cannot be parsed
 */
export function parseGrants(
  { properties, content }: ConsumeMessage,
  operator: string,
): BusDescription[] | undefined {
  if (properties.userId !== operator) return undefined;
  try {
    return Document.parse(JSON.parse(utf8.decode(content))).services;
  } catch {
    return undefined;
  }
}

/** Consumes the stream from its newest message on. @returns the tag of the consumer */
export async function consumeGrants(
  channel: Channel,
  onMessage: (message: ConsumeMessage | null) => void,
): Promise<string> {
  await channel.prefetch(100);
  const { consumerTag } = await channel.consume(
    grantsStream,
    (message) => {
      if (message) channel.ack(message);
      onMessage(message);
    },
    { arguments: { 'x-stream-offset': 'last' } },
  );
  return consumerTag;
}

/** Reads the current registration; empty if there is none. */
export async function readGrants(channel: Channel, operator: string): Promise<BusDescription[]> {
  let newest: BusDescription[] = [];
  let quiet: NodeJS.Timeout | undefined;
  const read = Promise.withResolvers<void>();
  const tag = await consumeGrants(channel, (message) => {
    const services = message ? parseGrants(message, operator) : undefined;
    if (services) newest = services;
    clearTimeout(quiet);
    quiet = setTimeout(read.resolve, quietTimeoutMs);
  });
  quiet ??= setTimeout(read.resolve, emptyTimeoutMs);
  await read.promise;
  await channel.cancel(tag);
  return newest;
}
