import type { AnyRequest, CallPolicy, Input, Reply } from '@jogakbo/contract';
import type { CallContext } from './call-context.ts';

export interface AskOptions {
  /** Milliseconds to wait at most; less if the current call has an earlier deadline. */
  timeout?: number;
}

/** Sends a request to another service and waits for its answer; see `RabbitClient.ask`. Injectable by this name. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- an injectable that is called like a function
export abstract class Ask {}
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- see above
export interface Ask {
  <C extends AnyRequest>(contract: C, input: Input<C>, options?: AskOptions): Promise<Reply<C>>;
}

export interface RequestOptions {
  context?: CallContext | undefined;
  timeout?: number | undefined;
  /**
   * By default `query`. A command survives a restart of the broker, does not expire there, and is neither batched nor
   * repeated after a failure.
   */
  kind?: 'command' | 'query';
  idempotencyKey?: string | undefined;
  /** The call policy that the callee declares. */
  policy?: CallPolicy | undefined;
  /**
   * True by default, for the gateway; `ask` sets it to false. Adds the member and the client address. Receivers ignore both
   * from any other service, so member data that a callee needs is part of the input.
   */
  withMember?: boolean;
  /** Encrypts the request and its answer. Requests that the callee announced as sensitive are always encrypted. */
  sensitive?: boolean | undefined;
}

/** Wraps every call to another service; see `CallGuard` of libs/resilience. */
export type Guard = <T>(
  call: { callee: string; policy: CallPolicy; safe: boolean; deadline: number },
  attempt: () => Promise<T>,
) => Promise<T>;
