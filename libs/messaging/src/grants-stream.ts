import type { Channel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { BusDescription } from './grants.ts';
import { grantsStream } from './topology.ts';

/** How long to wait for a first message of a stream that may be empty, in milliseconds. */
const emptyAfter = 500;
/** The last chunk of a stream may hold several messages, which come at once, in milliseconds. */
const quietAfter = 50;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const Document = z.object({ services: z.array(BusDescription) });

/**
 * Declares the stream that holds what the deploy step registered. Every service reads it; only those who operate the
 * broker can write it. Idempotent.
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
 * Makes these services the registered ones, at once and for all.
 * @param operator the login of the channel: readers believe no other
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
 * The services that a message of the stream registers.
 * @param operator the only login that is believed: the broker lets no other login use this name
 * @returns undefined where somebody else wrote it, or it cannot be read
 */
export function grantsIn(
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

/** What is registered now; nothing where nothing ever was. */
export async function readGrants(channel: Channel, operator: string): Promise<BusDescription[]> {
  let newest: BusDescription[] = [];
  let quiet: NodeJS.Timeout | undefined;
  const read = Promise.withResolvers<void>();
  const tag = await consumeGrants(channel, (message) => {
    const services = message ? grantsIn(message, operator) : undefined;
    if (services) newest = services;
    clearTimeout(quiet);
    quiet = setTimeout(read.resolve, quietAfter);
  });
  quiet ??= setTimeout(read.resolve, emptyAfter);
  await read.promise;
  await channel.cancel(tag);
  return newest;
}
