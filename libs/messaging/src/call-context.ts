import { AsyncLocalStorage } from 'node:async_hooks';
import type { Language } from '@jogakbo/contract';
import type { TraceContext } from './trace-context.ts';

/** Who started it all: the member whose token the gateway checked. */
export interface Caller {
  memberId: string;
  roles: string[];
  sessionId?: string;
  /** When the member signed in with a password, in seconds since 1970. */
  authTime?: number;
}

/** What travels along with every message that a message causes. */
export interface CallContext extends TraceContext {
  language: Language;
  /** Milliseconds since 1970 after which nobody waits for the answer. */
  deadline?: number;
  caller?: Caller;
  /** The network address that the request came from, as the gateway sees it. */
  address?: string;
  /** Which side of every traffic split it meets: 0 to 9,999, see `toSplitKey`. Says nothing of who asks, and permits nothing. */
  splitKey?: number;
}

const storage = new AsyncLocalStorage<CallContext>();

/** The context of the message or HTTP request being handled; undefined outside of any. */
export const currentCall = (): CallContext | undefined => storage.getStore();

/** Runs `work` with `context` as the current one. */
export const withCall = <T>(context: CallContext, work: () => T): T => storage.run(context, work);
