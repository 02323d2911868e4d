import { AsyncLocalStorage } from 'node:async_hooks';
import { randomFillSync } from 'node:crypto';
import type { Language } from '@jogakbo/contract';

/** Who started it all: the member whose token the gateway checked. */
export interface Caller {
  memberId: string;
  roles: string[];
  sessionId?: string;
  /** When the member signed in with a password, in seconds since 1970. */
  authTime?: number;
}

/** What travels along with every message that a message causes. */
export interface CallContext {
  /** W3C traceparent of the work at hand. */
  traceparent: string;
  language: Language;
  /** Milliseconds since 1970 after which nobody waits for the answer. */
  deadline?: number;
  caller?: Caller;
  /** The network address that the request came from, as the gateway sees it. */
  address?: string;
}

const storage = new AsyncLocalStorage<CallContext>();

/** The context of the message or HTTP request being handled; undefined outside of any. */
export const currentCall = (): CallContext | undefined => storage.getStore();

/** Runs `work` with `context` as the current one. */
export const withCall = <T>(context: CallContext, work: () => T): T => storage.run(context, work);

const traceparentForm = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

/** The trace id of a W3C traceparent, or undefined where it is malformed. */
export const traceIdOf = (traceparent: string | undefined): string | undefined =>
  traceparent?.match(traceparentForm)?.[1];

/** A traceparent one step below the given one, or of a new trace where there is none or a malformed one. */
export function childTraceparent(parent?: string): string {
  const traceId = traceIdOf(parent) ?? randomHex(16);
  return `00-${traceId}-${randomHex(8)}-01`;
}

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
