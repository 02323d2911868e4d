import { randomFillSync } from 'node:crypto';

/** Where a piece of work stands in a trace: W3C Trace Context, level 2. */
export interface TraceContext {
  traceparent: string;
  /** What tracing systems keep about the trace, passed on as it came. */
  tracestate?: string;
}

/** A later version may append fields, which are left out; version ff and ids of zeros are invalid. */
const traceparentForm =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/;

/** Of the flags, what level 2 defines: sampled (1) and random-trace-id (2). */
const definedFlags = 0b11;
/** A trace that begins here is recorded, and its id is random. */
const newFlags = '03';

const mostMembers = 32;
/** Characters of tracestate that are passed on: what every participant should be able to take. */
const longestTracestate = 512;
/** Members longer than this are the first that are left out. */
const longMember = 128;
const memberForm =
  /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

function parseTraceparent(text: string | undefined): { traceId: string; flags: string } | undefined {
  const [, version, traceId, flags, more] = traceparentForm.exec(text ?? '') ?? [];
  if (!traceId || (version === '00' && more !== undefined)) return undefined;
  return { traceId, flags: `0${(parseInt(flags!, 16) & definedFlags).toString()}` };
}

/** The trace id of a W3C traceparent, or undefined where it is malformed. */
export const getTraceId = (traceparent: string | undefined): string | undefined =>
  parseTraceparent(traceparent)?.traceId;

/** A traceparent one step below the given one, with its flags, or of a new trace where there is none or a malformed one. */
export function childTraceparent(parent?: string): string {
  const { traceId, flags } = parseTraceparent(parent) ?? { traceId: randomHex(16), flags: newFlags };
  return `00-${traceId}-${randomHex(8)}-${flags}`;
}

/**
 * The trace context one step below the given one.
 * @param tracestate is left out where it is malformed, or belongs to a traceparent that is
 */
export function childTrace(parent: string | undefined, tracestate: string | undefined): TraceContext {
  const traceparent = childTraceparent(parent);
  const kept = tracestate && parseTraceparent(parent) && keptTracestate(tracestate);
  return kept ? { traceparent, tracestate: kept } : { traceparent };
}

function keptTracestate(text: string): string | undefined {
  let members = text.split(',').map((member) => member.trim());
  members = members.filter(Boolean);
  const keys = new Set(members.map((member) => member.split('=', 1)[0]));
  const isSound = members.length <= mostMembers && keys.size === members.length && members.every(isMember);
  if (!isSound) return undefined;
  const isTooLong = () => members.join(',').length > longestTracestate;
  if (isTooLong()) members = members.filter((member) => member.length <= longMember);
  while (isTooLong()) members.pop();
  return members.join(',') || undefined;
}

const isMember = (text: string): boolean => memberForm.test(text);

// Asked for by the page: each question of its own costs as much as a hundred of these bytes.
const random = Buffer.alloc(4_096);
let used = random.length;

function randomHex(bytes: number): string {
  if (used + bytes > random.length) {
    randomFillSync(random);
    used = 0;
  }
  return random.toString('hex', used, (used += bytes));
}
