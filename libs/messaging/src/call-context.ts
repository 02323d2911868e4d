import { AsyncLocalStorage } from 'node:async_hooks';
import type { Language } from '@jogakbo/contract';
import { z } from 'zod';
import type { TraceContext } from './trace-context.ts';

/** The signed-in member whose token the gateway verified. A service that sends a request is its sender, never its `caller`. */
export const Caller = z.object({
  memberId: z.string(),
  roles: z.array(z.string()),
  sessionId: z.string().exactOptional(),
  /** When the member signed in with a password, in seconds since 1970. */
  authTime: z.number().exactOptional(),
});
export type Caller = z.infer<typeof Caller>;

/** Context that every message passes on to the messages that it causes. */
export interface CallContext extends TraceContext {
  language: Language;
  /**
   * Milliseconds since 1970 after which the sender does not wait any more. Another host compares it with its own clock: the
   * clocks must be synchronized (NTP), else commands are dropped early or executed late.
   */
  deadline?: number;
  caller?: Caller;
  /** The client address that the gateway determined. */
  address?: string;
  /** Selects the side (a version, or the others) of every traffic split: 0 to 9,999, see `toSplitKey`. Grants no permissions. */
  splitKey?: number;
}

const storage = new AsyncLocalStorage<CallContext>();

/** The context of the message or HTTP request being handled; undefined outside of any. */
export const currentCall = (): CallContext | undefined => storage.getStore();

/** Runs `work` with `context` as the current one. */
export const withCall = <T>(context: CallContext, work: () => T): T => storage.run(context, work);
