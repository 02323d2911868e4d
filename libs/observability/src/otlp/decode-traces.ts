import { TraceRequest } from './trace-schema.ts';

/** A value of an attribute, as JSON. Bytes are base64. */
export type AttributeValue =
  string | number | boolean | null | AttributeValue[] | { [key: string]: AttributeValue };

export type Attributes = Record<string, AttributeValue>;

export type SpanKindName = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** A span as an exporter sent it. */
export interface ReceivedSpan {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  parentId?: string;
  service: string;
  instance?: string;
  version?: string;
  name: string;
  kind: SpanKindName;
  /** Milliseconds since 1970, with fractions. */
  start: number;
  /** Milliseconds, not negative. */
  duration: number;
  isError: boolean;
  statusMessage?: string;
  attributes: Attributes;
  events: { name: string; time: number; attributes: Attributes }[];
  links: { traceId: string; spanId: string }[];
}

export interface ReceivedTraces {
  spans: ReceivedSpan[];
  /** Spans without valid ids or times. */
  rejected: number;
}

/** The body is not what its content type says, or nested too deeply. */
export class UnreadableTelemetry extends Error {
  override readonly name = 'UnreadableTelemetry';
}

export type OtlpEncoding = 'protobuf' | 'json';

interface WireValue {
  stringValue?: string;
  boolValue?: boolean;
  intValue?: number | string | { toString(): string };
  doubleValue?: number | string;
  arrayValue?: { values?: WireValue[] };
  kvlistValue?: { values?: WireAttribute[] };
  bytesValue?: Uint8Array | string;
}
interface WireAttribute {
  key?: string;
  value?: WireValue;
}
type WireId = Uint8Array | string | undefined;
type WireTime = number | string | { toString(): string } | undefined;
interface WireSpan {
  traceId?: WireId;
  spanId?: WireId;
  parentSpanId?: WireId;
  name?: string;
  kind?: number | string;
  startTimeUnixNano?: WireTime;
  endTimeUnixNano?: WireTime;
  attributes?: WireAttribute[];
  events?: { name?: string; timeUnixNano?: WireTime; attributes?: WireAttribute[] }[];
  links?: { traceId?: WireId; spanId?: WireId }[];
  status?: { code?: number | string; message?: string };
}
interface WireRequest {
  resourceSpans?: {
    resource?: { attributes?: WireAttribute[] };
    scopeSpans?: { spans?: WireSpan[] }[];
  }[];
}

/** Attributes, events and links of one span, and characters of one text: more are left out. */
const maxEntries = 128;
const maxTextLength = 8_192;
const maxDepth = 8;

/**
 * Decodes an export of OTLP over HTTP. Trusts nothing: ids and times are checked, texts and lists are cut.
 * @throws UnreadableTelemetry
 */
export function decodeTraces(body: Buffer, encoding: OtlpEncoding): ReceivedTraces {
  const request = readRequest(body, encoding);
  const received: ReceivedTraces = { spans: [], rejected: 0 };
  for (const { resource, scopeSpans } of listOf(request.resourceSpans)) {
    const of = toAttributes(resource?.attributes);
    for (const { spans } of listOf(scopeSpans))
      for (const wire of listOf(spans)) {
        const span = toSpan(wire, of);
        if (span) received.spans.push(span);
        else received.rejected += 1;
      }
  }
  return received;
}

function readRequest(body: Buffer, encoding: OtlpEncoding): WireRequest {
  try {
    const request: unknown =
      encoding === 'json' ? JSON.parse(body.toString('utf8')) : TraceRequest.decode(body);
    if (typeof request !== 'object' || request === null || Array.isArray(request))
      throw new SyntaxError('it is not an object');
    return request as WireRequest;
  } catch (error) {
    throw new UnreadableTelemetry(`the body is not ${encoding}: ${(error as Error).message}`);
  }
}

/** JSON may have anything in place of a list or of its items. */
const listOf = <T extends object>(value: T[] | undefined): T[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];

function toSpan(wire: WireSpan, of: Attributes): ReceivedSpan | undefined {
  const traceId = toId(wire.traceId, 32);
  const spanId = toId(wire.spanId, 16);
  const start = toMilliseconds(wire.startTimeUnixNano);
  const end = toMilliseconds(wire.endTimeUnixNano);
  if (!traceId || !spanId || start === undefined || end === undefined) return undefined;
  const parentId = toId(wire.parentSpanId, 16);
  const instance = of['service.instance.id'];
  const version = of['service.version'];
  const statusMessage = wire.status?.message;
  return {
    traceId,
    spanId,
    ...(parentId && { parentId }),
    service: toText(of['service.name']) || 'unknown',
    ...(instance !== undefined && { instance: toText(instance) }),
    ...(version !== undefined && { version: toText(version) }),
    name: toText(wire.name) || 'unnamed',
    kind: toKind(wire.kind),
    start,
    // A clock that was set back in between.
    duration: Math.max(0, end - start),
    isError: wire.status?.code === 2 || wire.status?.code === 'STATUS_CODE_ERROR',
    ...(statusMessage && { statusMessage: toText(statusMessage) }),
    attributes: toAttributes(wire.attributes),
    events: listOf(wire.events)
      .slice(0, maxEntries)
      .map(({ name, timeUnixNano, attributes }) => ({
        name: toText(name),
        time: toMilliseconds(timeUnixNano) ?? start,
        attributes: toAttributes(attributes),
      })),
    links: listOf(wire.links)
      .slice(0, maxEntries)
      .flatMap((link) => {
        const linked = { traceId: toId(link.traceId, 32), spanId: toId(link.spanId, 16) };
        return linked.traceId && linked.spanId ? [linked as { traceId: string; spanId: string }] : [];
      }),
  };
}

/** OTLP's JSON has ids in hexadecimal; protobuf has bytes. Ids of zeros are invalid. */
function toId(value: WireId, digits: 16 | 32): string | undefined {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  if (typeof text !== 'string' || text.length !== digits || !/^[0-9a-f]+$/i.test(text)) return undefined;
  return /^0+$/.test(text) ? undefined : text.toLowerCase();
}

/** Nanoseconds since 1970 exceed exact numbers: JSON has them as texts, protobuf as longs. Microseconds stay exact. */
function toMilliseconds(value: WireTime): number | undefined {
  const text = value === undefined || value === null ? '' : String(value);
  if (!/^\d{1,19}$/.test(text) || /^0+$/.test(text)) return undefined;
  return Number(BigInt(text) / 1_000n) / 1_000;
}

const kinds: SpanKindName[] = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'];

function toKind(kind: number | string | undefined): SpanKindName {
  const name = typeof kind === 'string' ? kind.replace('SPAN_KIND_', '').toLowerCase() : kinds[kind ?? 0];
  return kinds.includes(name as SpanKindName) ? (name as SpanKindName) : 'internal';
}

/** PostgreSQL stores no U+0000. */
const toText = (value: unknown): string =>
  (typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value))
    .slice(0, maxTextLength)
    .replaceAll('\0', '\uFFFD');

function toAttributes(list: WireAttribute[] | undefined, depth = 0): Attributes {
  const attributes: Attributes = Object.create(null) as Attributes;
  for (const { key, value } of listOf(list).slice(0, maxEntries))
    if (typeof key === 'string' && key) attributes[toText(key).slice(0, 256)] = toValue(value, depth);
  return { ...attributes };
}

function toValue(value: WireValue | undefined, depth: number): AttributeValue {
  if (typeof value !== 'object' || value === null || depth > maxDepth) return null;
  // Decoded messages inherit the defaults of the fields that are not set.
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue }: WireValue =
    Object.fromEntries(Object.entries(value).filter(([, one]) => one !== null));
  if (typeof stringValue === 'string') return toText(stringValue);
  if (typeof boolValue === 'boolean') return boolValue;
  if (intValue !== undefined) return toNumber(String(intValue));
  if (doubleValue !== undefined) return toNumber(String(doubleValue));
  if (arrayValue)
    return listOf(arrayValue.values)
      .slice(0, maxEntries)
      .map((item) => toValue(item, depth + 1));
  if (kvlistValue) return toAttributes(kvlistValue.values, depth + 1);
  if (bytesValue instanceof Uint8Array) return Buffer.from(bytesValue).toString('base64');
  return bytesValue === undefined ? null : toText(bytesValue);
}

/** Integers beyond 2^53 and values that JSON lacks stay texts. */
function toNumber(text: string): number | string {
  const number = Number(text);
  if (!Number.isFinite(number)) return text.slice(0, maxTextLength);
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? text : number;
}
