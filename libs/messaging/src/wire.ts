import { isUtf8 } from 'node:buffer';
import { randomUUIDv7 } from 'node:crypto';
import { isDeeperThan, Language, Rejection, type AnyContract, type FieldError } from '@jogakbo/contract';
import type { ConsumeMessage, Options } from 'amqplib';
import type { CallContext, Caller } from './call-context.ts';
import { Jwe, jose } from './encryption.ts';
import { determineOrigin, type Origin, type BrokerIdentity } from './identity.ts';
import type { Marks } from './marks.ts';
import { parseSplitKey } from './split.ts';
import { childTrace } from './trace-context.ts';
import { maxBatchSize } from './request-batch.ts';

/** A received message, in any wire format. Only the fields of `Origin` are verified; the sender may forge the rest. */
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
  context: CallContext;
  idempotencyKey: string | undefined;
  redelivered: boolean;
}

/** The field `err` of an answer. */
interface WireError {
  kind: 'rejection' | 'fault';
  code: string;
  message: string;
  status?: number;
  errors?: FieldError[];
  retryAfter?: number | undefined;
  extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** The callee failed. Unlike a rejection, the caller may retry. */
export class RemoteFault extends Error {
  override readonly name = 'RemoteFault';
  readonly code: string;
  /** True if the callee itself reported the fault: it is reachable. */
  readonly answered: boolean;
  constructor(code: string, message: string, answered = false) {
    super(message);
    this.code = code;
    this.answered = answered;
  }
}

/** The caller has no connection to the broker. Reveals nothing about the callee. */
export class BrokerDisconnected extends RemoteFault {
  constructor(message: string) {
    super('unavailable', message);
  }
}

/** Header of an encrypted request: the public key (JWK) for the encryption of its answer. */
export const replyKeyHeader = 'reply-key';

/** See `CallContext.splitKey`. */
const splitKeyHeader = 'split-key';
/** Prefix of CloudEvents attributes in the headers (CloudEvents AMQP protocol binding 1.0, binary mode). */
const cloudEvents = 'cloudEvents:';
/** Media type of a batch: a JSON array of message bodies, each with its headers. */
const batch = 'application/vnd.jogakbo.batch+json';
/** Header of a caller that accepts batches of answers. A caller that sends a batch accepts them too. */
const acceptHeader = 'accept';

/** The subject of a message, which is a field of its data; undefined if the contract declares none. */
export function getSubject(contract: Pick<AnyContract, 'subject'>, data: unknown): string | undefined {
  const value = contract.subject && (data as Record<string, unknown> | undefined)?.[contract.subject];
  return typeof value === 'string' ? value : undefined;
}

export interface Encoded {
  content: Buffer;
  options: Options.Publish & { messageId: string };
}

/** Headers with the context of a call. */
export function contextHeaders(context: CallContext | undefined): Record<string, unknown> {
  return {
    ...childTrace(context?.traceparent, context?.tracestate),
    language: context?.language ?? 'ko',
    ...(context?.deadline && { deadline: context.deadline }),
    ...(context?.caller && { caller: JSON.stringify(context.caller) }),
    ...(context?.address && { address: context.address }),
    ...(context?.splitKey !== undefined && { [splitKeyHeader]: context.splitKey }),
  };
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

/** The CloudEvents attribute of encrypted data; empty for other data. */
const getContentType = (data: unknown) => (data instanceof Jwe ? { datacontenttype: jose } : {});

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
export interface Request {
  pattern: string;
  data: unknown;
  id: string;
  headers: Record<string, unknown>;
}

/** Encodes requests of one pattern as one message: a single one as Nest's packet, several as a batch. */
export function encodeRequests(
  requests: Request[],
  options: Options.Publish & { messageId: string },
): Encoded {
  if (requests.length === 1) {
    const { pattern, data, id, headers } = requests[0]!;
    const readsBatches = { [acceptHeader]: batch };
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
  return { content: Buffer.from(JSON.stringify(bodies)), options: { ...options, contentType: batch } };
}

interface Body {
  pattern?: unknown;
  type?: unknown;
  data?: unknown;
  datacontenttype?: unknown;
  id?: unknown;
  headers?: Record<string, unknown>;
}

/** Deeper than any valid message, and far below a depth that exhausts the stack of a reader or writer. */
const maxDepth = 64;
/** Bytes that cannot contain a dangerous depth: smaller messages are not checked, for speed. */
const uncheckedBytes = 1_000;

const isTooDeep = (content: Buffer, body: unknown): boolean =>
  content.length > uncheckedBytes && isDeeperThan(maxDepth, body);

/**
 * @throws SyntaxError if it is not JSON in UTF-8: lenient decoding would change the text. The message does not quote the
 *   body, because it is logged
 */
function parse(content: Buffer): unknown {
  if (!isUtf8(content)) throw new SyntaxError('the body is not valid UTF-8');
  try {
    return JSON.parse(content.toString());
  } catch {
    throw new SyntaxError('the body is not JSON');
  }
}

/** @throws SyntaxError if it is not JSON in UTF-8, or nested too deeply */
function parseMessage(content: Buffer): unknown {
  const body = parse(content);
  if (isTooDeep(content, body)) throw new SyntaxError('the body is nested too deeply');
  return body;
}

/**
 * Decodes all messages of a batch, or the only one.
 * @throws SyntaxError if the body is not JSON, or an item has no pattern
 */
export function decodeAll(message: ConsumeMessage, identity: BrokerIdentity, marks?: Marks): Incoming[] {
  if (message.properties.contentType !== batch) return [decode(message, identity, marks)];
  const bodies = parseMessage(message.content) as Body[];
  if (!Array.isArray(bodies)) throw new SyntaxError('the batch is not an array');
  if (bodies.length > maxBatchSize) throw new SyntaxError(`the batch has more than ${maxBatchSize} messages`);
  const origin = determineOrigin(message, identity, marks);
  return bodies.map((body) => ({
    ...toIncoming(body, body.headers ?? {}, message, origin),
    messageId: String(body.id),
    correlationId: String(body.id),
  }));
}

/** @throws SyntaxError if the body is not JSON or has no pattern */
export function decode(message: ConsumeMessage, identity: BrokerIdentity, marks?: Marks): Incoming {
  const headers = (message.properties.headers ?? {}) as Record<string, unknown>;
  return toIncoming(
    parseMessage(message.content) as Body,
    headers,
    message,
    determineOrigin(message, identity, marks),
  );
}

function toIncoming(
  body: Body,
  headers: Record<string, unknown>,
  { properties, fields }: ConsumeMessage,
  origin: Origin,
): Incoming {
  const rawPattern = body.pattern ?? body.type;
  if (rawPattern === undefined || rawPattern === null) throw new SyntaxError('the message has no pattern');
  // Stock Nest peers may use objects as patterns. No contract has such a name, so they receive an error.
  const pattern = typeof rawPattern === 'string' ? rawPattern : JSON.stringify(rawPattern);
  const id = typeof body.id === 'string' ? body.id : undefined;
  const splitKey = parseSplitKey(headers[splitKeyHeader]);
  return {
    pattern,
    data: parseData(body.datacontenttype, body.data),
    ...origin,
    headers,
    messageId: (properties.messageId as string | undefined) ?? id ?? randomUUIDv7(),
    replyTo: properties.replyTo as string | undefined,
    correlationId: properties.correlationId as string | undefined,
    packetId: id,
    readsBatches: properties.contentType === batch || headers[acceptHeader] === batch,
    context: {
      ...childTrace(toText(headers['traceparent']), toText(headers['tracestate'])),
      language: Language.safeParse(headers['language']).data ?? 'ko',
      ...(typeof headers['deadline'] === 'number' && { deadline: headers['deadline'] }),
      ...(headers['caller'] ? { caller: JSON.parse(String(headers['caller'])) as Caller } : {}),
      ...(typeof headers['address'] === 'string' && { address: headers['address'] }),
      ...(splitKey !== undefined && { splitKey }),
    },
    idempotencyKey: toText(headers['idempotency-key']),
    redelivered: fields.redelivered,
  };
}

const parseData = (contentType: unknown, data: unknown): unknown =>
  contentType === jose && typeof data === 'string' ? new Jwe(data) : data;

const toText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** The return value of a handler, or its error. */
export type HandlerOutcome = { response: unknown } | { error: unknown };

/** Encodes an answer as Nest's packet. */
export function toAnswerPacket(incoming: Pick<Incoming, 'packetId'>, outcome: HandlerOutcome): object {
  return 'error' in outcome
    ? { id: incoming.packetId, err: toWire(outcome.error), isDisposed: true }
    : {
        id: incoming.packetId,
        response: outcome.response ?? null,
        isDisposed: true,
        ...getContentType(outcome.response),
      };
}

/** Encodes answers as one message: a single one as it is, several as a batch. */
export function encodeAnswers(answers: { correlationId: string | undefined; packet: object }[]): {
  content: Buffer;
  options: Options.Publish;
} {
  const [{ correlationId, packet }] = answers as [(typeof answers)[0]];
  return answers.length === 1
    ? {
        content: Buffer.from(JSON.stringify(packet)),
        options: { correlationId, contentType: 'application/json' },
      }
    : {
        content: Buffer.from(JSON.stringify(answers.map(({ packet }) => packet))),
        options: { contentType: batch },
      };
}

interface Packet {
  id?: string;
  err?: WireError | string;
  response?: unknown;
  datacontenttype?: unknown;
}

/** Decodes the answers of a message, each with the id of its request, and its response or its error. */
export function decodeAnswers({ content, properties }: ConsumeMessage): {
  id: string;
  response?: unknown;
  error?: Rejection | RemoteFault;
}[] {
  const packets = parse(content) as Packet | Packet[];
  // The caller fails at once: encoding such an answer again would exhaust the stack.
  const readSafely = (packet: Packet) =>
    isTooDeep(content, packet)
      ? { error: new RemoteFault('contract-broken', 'the answer is nested too deeply', true) }
      : readAnswer(packet);
  if (Array.isArray(packets))
    return packets.map((packet) => ({ id: String(packet.id), ...readSafely(packet) }));
  return [{ id: properties.correlationId as string, ...readSafely(packets) }];
}

function readAnswer({
  err,
  response,
  datacontenttype,
}: Packet): { response: unknown } | { error: Rejection | RemoteFault } {
  if (!err) return { response: parseData(datacontenttype, response) };
  // A stock Nest server sends a string or an object of its own format.
  if (typeof err === 'string') return { error: new RemoteFault('internal', err, true) };
  const { kind, message = 'the service failed', status = 422, errors, retryAfter, extensions } = err;
  const code = isCode(err.code) ? err.code : undefined;
  if (kind !== 'rejection' || !code) return { error: new RemoteFault(code ?? 'internal', message, true) };
  const rejection = new Rejection(code, status, message, errors);
  if (extensions && typeof extensions === 'object') rejection.with(extensions);
  return { error: retryAfter === undefined ? rejection : rejection.until(retryAfter) };
}

/** Any spelling is accepted, but a code must fit into URLs and titles. */
const isCode = (code: unknown): code is string =>
  typeof code === 'string' && code !== '' && code.length <= 100 && code.isWellFormed();

function toWire(error: unknown): WireError {
  if (error instanceof Rejection) {
    const { code, message, status, errors, retryAfter, extensions } = error;
    return { kind: 'rejection', code, message, status, ...(errors && { errors }), retryAfter, extensions };
  }
  // A fault reveals no internals: the cause is in the log, with the same trace id.
  if (error instanceof RemoteFault) return { kind: 'fault', code: error.code, message: error.message };
  return { kind: 'fault', code: 'internal', message: 'the service failed' };
}
