import { randomUUIDv7 } from 'node:crypto';
import { Language, undeterminedLanguage } from '@jogakbo/contract';
import type { ConsumeMessage } from 'amqplib';
import { Caller, type CallContext } from './call-context.ts';
import { determineOrigin, type BrokerIdentity, type Origin } from './identity.ts';
import { isTooDeep, parseBody, parseData, parseMessage } from './json-body.ts';
import type { Marks } from './marks.ts';
import { acceptHeader, batchType, splitKeyHeader } from './message-headers.ts';
import { maxBatchSize } from './turn-batch.ts';
import { parseSplitKey } from './split.ts';
import { childTrace, readTrace, type TraceContext } from './trace-context.ts';

/**
 * A received message, in any wire format. Only the fields of `Origin` are verified; the sender may forge the rest. In a
 * handler the member and the client address are those of the gateway: `keepMemberOfGateway` has removed any others.
 */
export interface Incoming extends Origin {
  pattern: string;
  /** A `Jwe` if it was encrypted; a handler receives the decrypted data. */
  data: unknown;
  messageId: string;
  headers: Record<string, unknown>;
  /** The reply queue; undefined if no caller waits. */
  replyTo: string | undefined;
  correlationId: string | undefined;
  /** Nest's packet id, which the answer repeats. */
  packetId: string | undefined;
  /** True if the caller accepts several answers in one message. */
  readsBatches?: boolean;
  callContext: CallContext;
  /** The trace context as received: `callContext` has that of a child. */
  sentIn?: TraceContext | undefined;
  idempotencyKey: string | undefined;
  redelivered: boolean;
}

interface WireBody {
  pattern?: unknown;
  type?: unknown;
  data?: unknown;
  datacontenttype?: unknown;
  id?: unknown;
  headers?: Record<string, unknown>;
}

/** Whether a message consists of several requests. */
export const isBatch = ({ properties }: ConsumeMessage): boolean => properties.contentType === batchType;

/** A request of a batch that cannot be read. Its id is known, so that it can be answered. */
export interface UnreadableRequest {
  id: string;
  error: Error;
}

export interface DecodedMessage {
  readable: Incoming[];
  unreadable: UnreadableRequest[];
}

/**
 * Decodes all requests of a batch, or the only one.
 * @throws SyntaxError if the body is not JSON, an item of a batch has no id, or the only request is unreadable
 */
export function decodeAll(message: ConsumeMessage, identity: BrokerIdentity, marks?: Marks): DecodedMessage {
  if (!isBatch(message)) return { readable: [decode(message, identity, marks)], unreadable: [] };
  const bodies = parseBody(message.content) as (WireBody | null)[];
  if (!Array.isArray(bodies)) throw new SyntaxError('the batch is not an array');
  if (bodies.length > maxBatchSize) throw new SyntaxError(`the batch has more than ${maxBatchSize} messages`);
  const origin = determineOrigin(message, identity, marks);
  const decoded: DecodedMessage = { readable: [], unreadable: [] };
  for (const body of bodies) {
    const id = body?.id;
    const tooDeep = isTooDeep(message.content, body) && new SyntaxError('the body is nested too deeply');
    if (!body || typeof id !== 'string') throw tooDeep || new SyntaxError('an item of the batch has no id');
    try {
      if (tooDeep) throw tooDeep;
      const incoming = toIncoming(body, body.headers ?? {}, message, origin);
      decoded.readable.push({ ...incoming, messageId: id, correlationId: id });
    } catch (error) {
      decoded.unreadable.push({ id, error: error as Error });
    }
  }
  return decoded;
}

/** @throws SyntaxError if the body is not JSON or has no pattern, or the header `caller` is not a member */
export function decode(message: ConsumeMessage, identity: BrokerIdentity, marks?: Marks): Incoming {
  const headers = (message.properties.headers ?? {}) as Record<string, unknown>;
  return toIncoming(
    parseMessage(message.content) as WireBody,
    headers,
    message,
    determineOrigin(message, identity, marks),
  );
}

function toIncoming(
  body: WireBody | null,
  headers: Record<string, unknown>,
  { properties, fields }: ConsumeMessage,
  origin: Origin,
): Incoming {
  if (typeof body !== 'object' || body === null) throw new SyntaxError('the message is not an object');
  const rawPattern = body.pattern ?? body.type;
  if (rawPattern === undefined || rawPattern === null) throw new SyntaxError('the message has no pattern');
  // Stock Nest peers may use objects as patterns. No contract has such a name, so they receive an error.
  const pattern = typeof rawPattern === 'string' ? rawPattern : JSON.stringify(rawPattern);
  const id = typeof body.id === 'string' ? body.id : undefined;
  const splitKey = parseSplitKey(headers[splitKeyHeader]);
  const trace = readTrace(toText(headers['traceparent']), toText(headers['tracestate']));
  return {
    pattern,
    data: parseData(body.datacontenttype, body.data),
    ...origin,
    headers,
    messageId: (properties.messageId as string | undefined) ?? id ?? randomUUIDv7(),
    replyTo: properties.replyTo as string | undefined,
    correlationId: properties.correlationId as string | undefined,
    packetId: id,
    readsBatches: properties.contentType === batchType || headers[acceptHeader] === batchType,
    callContext: {
      ...childTrace(trace?.traceparent, trace?.tracestate),
      language: Language.safeParse(headers['language']).data ?? undeterminedLanguage,
      ...(Number.isFinite(headers['deadline']) && { deadline: headers['deadline'] as number }),
      ...(headers['caller'] ? { caller: parseCaller(headers['caller']) } : {}),
      ...(typeof headers['address'] === 'string' && { address: headers['address'] }),
      ...(splitKey !== undefined && { splitKey }),
    },
    sentIn: trace,
    idempotencyKey: toText(headers['idempotency-key']),
    redelivered: fields.redelivered,
  };
}

/** The error does not quote the header: it is data of a member. */
function parseCaller(header: unknown): Caller {
  try {
    return Caller.parse(JSON.parse(String(header)));
  } catch {
    throw new SyntaxError('the header caller is not a member');
  }
}

const toText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
