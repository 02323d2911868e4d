import {
  type Attributes,
  listRecords,
  toList,
  maxEntries,
  type Origin,
  type OtlpEncoding,
  readRequest,
  toAttributes,
  toId,
  toMilliseconds,
  toText,
  type WireAttribute,
  type WireId,
  type WireNumber,
} from './wire.ts';
import { TraceRequest } from './schema.ts';

export type SpanKindName = 'internal' | 'server' | 'client' | 'producer' | 'consumer';

/** A span as an exporter sent it. */
export interface ReceivedSpan extends Origin {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  parentId?: string;
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

interface WireSpan {
  traceId?: WireId;
  spanId?: WireId;
  parentSpanId?: WireId;
  name?: string;
  kind?: number | string;
  startTimeUnixNano?: WireNumber;
  endTimeUnixNano?: WireNumber;
  attributes?: WireAttribute[];
  events?: { name?: string; timeUnixNano?: WireNumber; attributes?: WireAttribute[] }[];
  links?: { traceId?: WireId; spanId?: WireId }[];
  status?: { code?: number | string; message?: string };
}
/**
 * Decodes an export of OTLP over HTTP. Trusts nothing: ids and times are checked, texts and lists are cut.
 * @throws UnreadableTelemetry
 */
export function decodeTraces(body: Buffer, encoding: OtlpEncoding): ReceivedTraces {
  const request = readRequest(body, encoding, TraceRequest);
  const received: ReceivedTraces = { spans: [], rejected: 0 };
  for (const { record, origin } of listRecords<WireSpan>(request, ['resourceSpans', 'scopeSpans', 'spans'])) {
    const span = toSpan(record, origin);
    if (span) received.spans.push(span);
    else received.rejected += 1;
  }
  return received;
}

function toSpan(wire: WireSpan, origin: Origin): ReceivedSpan | undefined {
  const traceId = toId(wire.traceId, 32);
  const spanId = toId(wire.spanId, 16);
  const start = toMilliseconds(wire.startTimeUnixNano);
  const end = toMilliseconds(wire.endTimeUnixNano);
  if (!traceId || !spanId || start === undefined || end === undefined) return undefined;
  const parentId = toId(wire.parentSpanId, 16);
  const statusMessage = wire.status?.message;
  return {
    traceId,
    spanId,
    ...(parentId && { parentId }),
    ...origin,
    name: toText(wire.name) || 'unnamed',
    kind: toKind(wire.kind),
    start,
    // A clock that was set back in between.
    duration: Math.max(0, end - start),
    isError: wire.status?.code === 2 || wire.status?.code === 'STATUS_CODE_ERROR',
    ...(statusMessage && { statusMessage: toText(statusMessage) }),
    attributes: toAttributes(wire.attributes),
    events: toList(wire.events)
      .slice(0, maxEntries)
      .map(({ name, timeUnixNano, attributes }) => ({
        name: toText(name),
        time: toMilliseconds(timeUnixNano) ?? start,
        attributes: toAttributes(attributes),
      })),
    links: toList(wire.links)
      .slice(0, maxEntries)
      .flatMap((link) => {
        const linked = { traceId: toId(link.traceId, 32), spanId: toId(link.spanId, 16) };
        return linked.traceId && linked.spanId ? [linked as { traceId: string; spanId: string }] : [];
      }),
  };
}

const kinds: SpanKindName[] = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'];

function toKind(kind: number | string | undefined): SpanKindName {
  const name = typeof kind === 'string' ? kind.replace('SPAN_KIND_', '').toLowerCase() : kinds[kind ?? 0];
  return kinds.includes(name as SpanKindName) ? (name as SpanKindName) : 'internal';
}
