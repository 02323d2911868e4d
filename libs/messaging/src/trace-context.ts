import { randomUUID } from 'node:crypto';

/** The position in a trace: W3C Trace Context, level 2. */
export interface TraceContext {
  traceparent: string;
  /** Vendor-specific trace data, passed on unchanged. */
  tracestate?: string;
}

/** A later version may append fields, which are ignored; version ff and ids of zeros are invalid. */
const traceparentForm =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/;

/** The flags that level 2 defines: sampled (1) and random-trace-id (2). */
const definedFlags = 0b11;
/** A new trace is sampled, and its id is random. */
const newFlags = '03';

const maxMembers = 32;
/** Characters of tracestate that every participant should propagate (W3C Trace Context, tracestate limits). */
const maxTracestateLength = 512;
/** Members longer than this are removed first. */
const longMemberLength = 128;
const memberForm =
  /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

function parseTraceparent(text: string | undefined): { traceId: string; flags: string } | undefined {
  const [, version, traceId, flags, more] = traceparentForm.exec(text ?? '') ?? [];
  if (!traceId || (version === '00' && more !== undefined)) return undefined;
  return { traceId, flags: `0${(parseInt(flags!, 16) & definedFlags).toString()}` };
}

/** The trace id of a W3C traceparent, or undefined if it is malformed. */
export const getTraceId = (traceparent: string | undefined): string | undefined =>
  parseTraceparent(traceparent)?.traceId;

/** The id of the current span of a W3C traceparent, or undefined if it is malformed. */
export const getSpanId = (traceparent: string | undefined): string | undefined =>
  parseTraceparent(traceparent) && traceparent!.split('-')[2];

/** Creates a child traceparent with the flags of its parent, or a new trace if the parent is missing or malformed. */
export function childTraceparent(parent?: string): string {
  const { traceId, flags } = parseTraceparent(parent) ?? { traceId: randomHex(32), flags: newFlags };
  return `00-${traceId}-${randomHex(16)}-${flags}`;
}

/** The trace context that a sender wrote, or undefined if its traceparent is malformed. A malformed tracestate is left out. */
export function readTrace(traceparent: string | undefined, tracestate?: string): TraceContext | undefined {
  const read = parseTraceparent(traceparent);
  if (!read) return undefined;
  const [, , spanId] = traceparent!.split('-');
  const kept = tracestate && trimTracestate(tracestate);
  return { traceparent: `00-${read.traceId}-${spanId}-${read.flags}`, ...(kept && { tracestate: kept }) };
}

/**
 * Creates a child trace context.
 * @param tracestate ignored if it or the traceparent is malformed
 */
export function childTrace(parent: string | undefined, tracestate: string | undefined): TraceContext {
  const traceparent = childTraceparent(parent);
  const kept = tracestate && parseTraceparent(parent) && trimTracestate(tracestate);
  return kept ? { traceparent, tracestate: kept } : { traceparent };
}

function trimTracestate(text: string): string | undefined {
  let members = text.split(',').map((member) => member.trim());
  members = members.filter(Boolean);
  const keys = new Set(members.map((member) => member.split('=', 1)[0]));
  const isValid = members.length <= maxMembers && keys.size === members.length && members.every(isMember);
  if (!isValid) return undefined;
  const isTooLong = () => members.join(',').length > maxTracestateLength;
  if (isTooLong()) members = members.filter((member) => member.length <= longMemberLength);
  while (isTooLong()) members.pop();
  return members.join(',') || undefined;
}

const isMember = (text: string): boolean => memberForm.test(text);

/** From a version 4 UUID: at least 62 bits are random, the last 56 all are, as the flag promises, and never all are zero. */
const randomHex = (digits: 16 | 32): string => randomUUID().replaceAll('-', '').slice(-digits);
