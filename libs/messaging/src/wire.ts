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
import { mostTogether } from './request-batch.ts';

/** A message as it arrived, whatever its wire format was. What `Origin` says is certain; the rest is its sender's word. */
export interface Incoming extends Origin {
  pattern: string;
  /** A `Jwe` where it came encrypted; a handler gets what was in it. */
  data: unknown;
  messageId: string;
  headers: Record<string, unknown>;
  /** Where the answer goes; undefined where nobody waits. */
  replyTo: string | undefined;
  correlationId: string | undefined;
  /** Nest's packet id, to be repeated in the answer. */
  packetId: string | undefined;
  /** True where the caller can read several answers in one message. */
  readsBatches?: boolean;
  context: CallContext;
  idempotencyKey: string | undefined;
  redelivered: boolean;
}

/** What travels in an answer's `err`. */
interface WireError {
  kind: 'rejection' | 'fault';
  code: string;
  message: string;
  status?: number;
  errors?: FieldError[];
  retryAfter?: number | undefined;
  extensions?: Readonly<Record<string, unknown>> | undefined;
}

/** The other side failed. Not a "no": the caller may try again. */
export class RemoteFault extends Error {
  override readonly name = 'RemoteFault';
  readonly code: string;
  /** True where the other side itself said so: it is there, whatever it lacks. */
  readonly answered: boolean;
  constructor(code: string, message: string, answered = false) {
    super(message);
    this.code = code;
    this.answered = answered;
  }
}

/** The caller's own way to the broker is cut: it says nothing about who was asked. */
export class BrokerDisconnected extends RemoteFault {
  constructor(message: string) {
    super('unavailable', message);
  }
}

/** With an encrypted request: the public key (JWK) that its answer is to be encrypted with. */
export const replyKeyHeader = 'reply-key';

/** See `CallContext.splitKey`. */
const splitKeyHeader = 'split-key';
/** Prefix of CloudEvents attributes in the headers (CloudEvents AMQP protocol binding 1.0, binary mode). */
const cloudEvents = 'cloudEvents:';
/** A JSON array of what would be the bodies of as many messages, each with the headers that it would have. */
const batch = 'application/vnd.jogakbo.batch+json';
/** Says that the caller reads batches of answers. A caller that sends a batch reads them too. */
const acceptHeader = 'accept';

/** The field of the data that says what a message is about, as a string; undefined where the contract names none. */
export function getSubject(contract: Pick<AnyContract, 'subject'>, data: unknown): string | undefined {
  const value = contract.subject && (data as Record<string, unknown> | undefined)?.[contract.subject];
  return typeof value === 'string' ? value : undefined;
}

export interface Encoded {
  content: Buffer;
  options: Options.Publish & { messageId: string };
}

/** Headers that carry the context of a call along. */
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
 * An event as a CloudEvent in binary mode: the attributes are headers, the body is Nest's packet without an id. With an
 * id in the body, which structured mode demands, a stock Nest consumer takes an event for a request and answers it.
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

/** What says that data is encrypted, in the words of CloudEvents; nothing where it is not. */
const getContentType = (data: unknown) => (data instanceof Jwe ? { datacontenttype: jose } : {});

/** A request in Nest's packet. With `id` somebody waits for the answer; without it nobody does. */
export function encodeRequest(
  packet: { pattern: string; data: unknown; id?: string },
  options: Options.Publish & { messageId: string },
): Encoded {
  return {
    content: Buffer.from(JSON.stringify({ ...packet, ...getContentType(packet.data) })),
    options: { contentType: 'application/json', ...options },
  };
}

/** A request that somebody waits for. */
export interface Request {
  pattern: string;
  data: unknown;
  id: string;
  headers: Record<string, unknown>;
}

/** Requests of one pattern as one message: a single one in Nest's packet, several in a batch. */
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
    ...{ pattern, data, id, headers },
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

/** Deeper than any message goes, and far from what would exhaust the stack of whatever reads or writes it. */
const deepest = 64;
/** Bytes in which nothing can be nested so deeply that it would exhaust a stack: not looked at, to keep small messages fast. */
const smallEnough = 1_000;

const isTooDeep = (content: Buffer, body: unknown): boolean =>
  content.length > smallEnough && isDeeperThan(deepest, body);

/**
 * @throws SyntaxError where it is not JSON in UTF-8: decoded all the same, it would be another text. Without a quotation
 *   from the body, which a log would keep
 */
function parse(content: Buffer): unknown {
  if (!isUtf8(content)) throw new SyntaxError('the body is not valid UTF-8');
  try {
    return JSON.parse(content.toString());
  } catch {
    throw new SyntaxError('the body is not JSON');
  }
}

/** @throws SyntaxError where it is no JSON that can be read, or nested too deeply */
function parseMessage(content: Buffer): unknown {
  const body = parse(content);
  if (isTooDeep(content, body)) throw new SyntaxError('the body is nested too deeply');
  return body;
}

/**
 * All that a message holds: one, or several where it is a batch.
 * @throws SyntaxError where the body is not JSON, or something in it names no pattern
 */
export function decodeAll(message: ConsumeMessage, standing: BrokerIdentity, marks?: Marks): Incoming[] {
  if (message.properties.contentType !== batch) return [decode(message, standing, marks)];
  const bodies = parseMessage(message.content) as Body[];
  if (!Array.isArray(bodies)) throw new SyntaxError('the batch is no list');
  if (bodies.length > mostTogether) throw new SyntaxError(`the batch holds more than ${mostTogether}`);
  const origin = determineOrigin(message, standing, marks);
  return bodies.map((body) => ({
    ...toIncoming(body, body.headers ?? {}, message, origin),
    messageId: String(body.id),
    correlationId: String(body.id),
  }));
}

/** @throws SyntaxError where the body is not JSON or names no pattern */
export function decode(message: ConsumeMessage, standing: BrokerIdentity, marks?: Marks): Incoming {
  const headers = (message.properties.headers ?? {}) as Record<string, unknown>;
  return toIncoming(
    parseMessage(message.content) as Body,
    headers,
    message,
    determineOrigin(message, standing, marks),
  );
}

function toIncoming(
  body: Body,
  headers: Record<string, unknown>,
  { properties, fields }: ConsumeMessage,
  origin: Origin,
): Incoming {
  const named = body.pattern ?? body.type;
  if (named === undefined || named === null) throw new SyntaxError('the message names no pattern');
  // Stock Nest peers may use objects as patterns: no contract is called so, and they are told.
  const pattern = typeof named === 'string' ? named : JSON.stringify(named);
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
      ...childTrace(text(headers['traceparent']), text(headers['tracestate'])),
      language: Language.safeParse(headers['language']).data ?? 'ko',
      ...(typeof headers['deadline'] === 'number' && { deadline: headers['deadline'] }),
      ...(headers['caller'] ? { caller: JSON.parse(String(headers['caller'])) as Caller } : {}),
      ...(typeof headers['address'] === 'string' && { address: headers['address'] }),
      ...(splitKey !== undefined && { splitKey }),
    },
    idempotencyKey: text(headers['idempotency-key']),
    redelivered: fields.redelivered,
  };
}

const parseData = (contentType: unknown, data: unknown): unknown =>
  contentType === jose && typeof data === 'string' ? new Jwe(data) : data;

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** What a handler gave, or threw. */
export type HandlerOutcome = { response: unknown } | { error: unknown };

/** An answer as Nest's packet. */
export function answerTo(incoming: Pick<Incoming, 'packetId'>, outcome: HandlerOutcome): object {
  return 'error' in outcome
    ? { id: incoming.packetId, err: toWire(outcome.error), isDisposed: true }
    : {
        ...{ id: incoming.packetId, response: outcome.response ?? null, isDisposed: true },
        ...getContentType(outcome.response),
      };
}

/** Answers as one message: a single one as it is, several in a batch. */
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

/** The answers that a message holds, each with the request that it is for, and its response, or its error. */
export function decodeAnswers({ content, properties }: ConsumeMessage): {
  id: string;
  response?: unknown;
  error?: Rejection | RemoteFault;
}[] {
  const packets = parse(content) as Packet | Packet[];
  // The callers are told at once: whatever passed it on would exhaust its stack.
  const readSafely = (packet: Packet) =>
    isTooDeep(content, packet)
      ? { error: new RemoteFault('contract-broken', 'the answer is nested too deeply', true) }
      : read(packet);
  if (Array.isArray(packets))
    return packets.map((packet) => ({ id: String(packet.id), ...readSafely(packet) }));
  return [{ id: properties.correlationId as string, ...readSafely(packets) }];
}

function read({
  err,
  response,
  datacontenttype,
}: Packet): { response: unknown } | { error: Rejection | RemoteFault } {
  if (!err) return { response: parseData(datacontenttype, response) };
  // A stock Nest server answers with a text or an object of its own.
  if (typeof err === 'string') return { error: new RemoteFault('internal', err, true) };
  const { kind, message = 'the service failed', status = 422, errors, retryAfter, extensions } = err;
  const code = isCode(err.code) ? err.code : undefined;
  if (kind !== 'rejection' || !code) return { error: new RemoteFault(code ?? 'internal', message, true) };
  const rejection = new Rejection(code, status, message, errors);
  if (extensions && typeof extensions === 'object') rejection.with(extensions);
  return { error: retryAfter === undefined ? rejection : rejection.until(retryAfter) };
}

/** However a service spells its codes: whoever shows one puts it into addresses and titles, and must be able to. */
const isCode = (code: unknown): code is string =>
  typeof code === 'string' && code !== '' && code.length <= 100 && code.isWellFormed();

function toWire(error: unknown): WireError {
  if (error instanceof Rejection) {
    const { code, message, status, errors, retryAfter, extensions } = error;
    return { kind: 'rejection', code, message, status, ...(errors && { errors }), retryAfter, extensions };
  }
  // Nothing of the inside leaves with a fault: the cause is in the log, under the same trace.
  if (error instanceof RemoteFault) return { kind: 'fault', code: error.code, message: error.message };
  return { kind: 'fault', code: 'internal', message: 'the service failed' };
}
