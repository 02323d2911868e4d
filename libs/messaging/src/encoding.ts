import type { AnyContract } from '@jogakbo/contract';
import type { Options } from 'amqplib';
import { getContentType } from './json-body.ts';
import { acceptHeader, batchType } from './message-headers.ts';

/** Prefix of CloudEvents attributes in the headers (CloudEvents AMQP protocol binding 1.0, binary mode). */
const cloudEvents = 'cloudEvents:';

/** The subject of a message, which is a field of its data; undefined if the contract declares none. */
export function getSubject(contract: Pick<AnyContract, 'subject'>, data: unknown): string | undefined {
  const value = contract.subject && (data as Record<string, unknown> | undefined)?.[contract.subject];
  return typeof value === 'string' ? value : undefined;
}

export interface Encoded {
  content: Buffer;
  options: Options.Publish & { messageId: string };
}

/**
 * Encodes a CloudEvent in binary mode: the attributes are headers, the body is Nest's packet without an id. With an id in
 * the body, which structured mode requires, a stock Nest consumer treats an event as a request and answers it.
 */
export function encodeEvent(
  event: {
    id: string;
    name: string;
    source: string;
    subject?: string | undefined;
    time: Date;
    data: unknown;
  },
  headers: Record<string, unknown>,
): Encoded {
  const attributes = {
    specversion: '1.0',
    id: event.id,
    source: `/${event.source}`,
    type: event.name,
    ...(event.subject && { subject: event.subject }),
    time: event.time.toISOString(),
  };
  const prefixed = Object.entries(attributes).map(([name, value]) => [`${cloudEvents}${name}`, value]);
  return {
    content: Buffer.from(JSON.stringify({ pattern: event.name, data: event.data })),
    options: {
      messageId: event.id,
      contentType: 'application/json',
      persistent: true,
      headers: { ...headers, ...Object.fromEntries(prefixed) },
    },
  };
}

/** Encodes a request as Nest's packet. With `id` a caller waits for the answer, without it none does. */
export function encodeRequest(
  packet: { pattern: string; data: unknown; id?: string },
  options: Options.Publish & { messageId: string },
): Encoded {
  return {
    content: Buffer.from(JSON.stringify({ ...packet, ...getContentType(packet.data) })),
    options: { contentType: 'application/json', ...options },
  };
}

/** A request whose caller waits for the answer. */
export interface OutgoingRequest {
  pattern: string;
  data: unknown;
  id: string;
  headers: Record<string, unknown>;
}

/** Encodes requests of one pattern as one message: a single one as Nest's packet, several as a batch. */
export function encodeRequests(
  requests: OutgoingRequest[],
  options: Options.Publish & { messageId: string },
): Encoded {
  if (requests.length === 1) {
    const { pattern, data, id, headers } = requests[0]!;
    const readsBatches = { [acceptHeader]: batchType };
    return encodeRequest(
      { pattern, data, id },
      { ...options, correlationId: id, headers: { ...headers, ...readsBatches } },
    );
  }
  const bodies = requests.map(({ pattern, data, id, headers }) => ({
    pattern,
    data,
    id,
    headers,
    ...getContentType(data),
  }));
  return { content: Buffer.from(JSON.stringify(bodies)), options: { ...options, contentType: batchType } };
}
