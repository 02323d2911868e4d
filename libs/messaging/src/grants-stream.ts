import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';
import { z } from 'zod';
import { BusDescription } from './grants.ts';
import { grantsStream, TopologyMissing } from './topology.ts';

/** The broker's number of messages in a stream is up to 5 s old. */
const countDelayMs = 6_000;
/** Milliseconds to wait for the first message of a stream that has one: a broker that has just started needs seconds. */
const readTimeoutMs = 20_000;
/** Reading ends after so many milliseconds without a message: the last chunk of a stream may hold several messages. */
const quietTimeoutMs = 50;

const utf8 = new TextDecoder('utf-8', { fatal: true });

const Document = z.object({ services: z.array(BusDescription) });

/**
 * Declares the stream of the grants, which the deploy step writes. Every service can read it; only broker operators
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
 * Replaces the grants of all services atomically.
 * @param operator the login of the channel: readers ignore every other login
 * @throws TopologyMissing if the stream does not exist
 */
export async function publishGrants(
  channel: ConfirmChannel,
  services: readonly BusDescription[],
  operator: string,
): Promise<void> {
  const content = Buffer.from(JSON.stringify({ services }));
  const options = { messageId: randomUUIDv7(), userId: operator, persistent: true, mandatory: true };
  let isReturned = false;
  channel.once('return', () => (isReturned = true));
  channel.publish('', grantsStream, content, { ...options, contentType: 'application/json' });
  await channel.waitForConfirms();
  if (isReturned)
    throw new TopologyMissing(
      `The stream ${grantsStream} is missing. What to do: run the deploy step again.`,
    );
}

/**
 * Reads the grants from a message of the stream.
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

/** Whether the deploy step has declared the stream before. Uses a channel of its own, which the broker closes if not. */
export async function hasGrantsStream(model: ChannelModel): Promise<boolean> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  try {
    await channel.checkQueue(grantsStream);
  } catch (error) {
    if (!/NOT.FOUND/.test((error as Error).message)) throw error;
    return false;
  }
  await channel.close();
  return true;
}

/**
 * Reads the current grants from an existing stream; empty if none were ever written.
 * @throws TopologyMissing if there are grants that cannot be read: to continue without them would take routes and keys from
 *   services
 */
export async function readGrants(channel: Channel, operator: string): Promise<BusDescription[]> {
  let newest: BusDescription[] | undefined;
  let timer: NodeJS.Timeout | undefined;
  const first = Promise.withResolvers<void>();
  const last = Promise.withResolvers<void>();
  const tag = await consumeGrants(channel, (message) => {
    // Null: the broker cancelled the consumer.
    newest = (message && parseGrants(message, operator)) ?? newest;
    first.resolve();
    clearTimeout(timer);
    timer = setTimeout(last.resolve, quietTimeoutMs);
  });
  const isEmpty = await Promise.race([first.promise.then(() => false), isStreamEmpty(channel)]);
  if (isEmpty) last.resolve();
  else timer ??= setTimeout(last.resolve, readTimeoutMs);
  await last.promise;
  await channel.cancel(tag);
  if (newest || isEmpty) return newest ?? [];
  throw new TopologyMissing(
    `The stream ${grantsStream} has a registration that cannot be read. What to do: run the deploy step again; if it ` +
      'fails again, delete the stream and run it with the keys of all services.',
  );
}

async function isStreamEmpty(channel: Channel): Promise<boolean> {
  await sleep(countDelayMs, undefined, { ref: false });
  return (await channel.checkQueue(grantsStream)).messageCount === 0;
}
