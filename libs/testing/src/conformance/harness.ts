import { service, type AnyContract, type AnyRequest, type Input, type Reply } from '@jogakbo/contract';
import { z } from 'zod';

export type Handlers = [AnyContract, (data: never) => unknown][];

/** A message that was given up. */
export interface DeadLettered {
  /** How often it was tried, the first time included. */
  failures: number;
  cause: string;
  body: string;
}

/** One transport, on something real and used by nobody else, as the conformance suite meets it. */
export interface Harness {
  /** How often a message that fails is tried again before it is given up. */
  retries: number;
  /** Serves the service `shop`: at most `prefetch` messages of a kind at a time. */
  serve(handlers: Handlers, prefetch?: number): Promise<ServedService>;
  /** Asks from a connection of its own. */
  ask<C extends AnyRequest>(contract: C, input: Input<C>, options?: { timeout?: number }): Promise<Reply<C>>;
  /** Sends a command that nobody waits for. Resolves when the transport answers for it. */
  send(contract: AnyRequest, data: unknown): Promise<void>;
  /** Announces an event. Resolves when the transport answers for it. */
  announce(contract: AnyContract, data: unknown): Promise<void>;
  /** Puts bytes where an event of this contract would arrive. */
  poison(contract: AnyContract, body: string): Promise<void>;
  /** All that was given up since the last call. */
  givenUp(): Promise<DeadLettered[]>;
  /** Cuts every connection, as a failing network would. They may come back. */
  cut(): Promise<void>;
  /** True while `ask` can reach the transport. */
  connected(): boolean;
  /** Ends all, the served services too. */
  close(): Promise<void>;
}

export interface ServedService {
  readonly ready: boolean;
  close(): Promise<void>;
}

const shop = service('shop');
const yard = service('yard');
export const Look = shop.query('look', { input: z.strictObject({}), output: z.object({ seen: z.int() }) });
export const Take = shop.command('take', {
  input: z.strictObject({ thing: z.string(), count: z.int().default(1) }),
  output: z.object({ taken: z.int() }),
  rejections: { 'none-left': 409 },
  subject: 'thing',
});
export const Mend = shop.command('mend', {
  input: z.strictObject({ thing: z.string(), turn: z.int().optional() }),
  subject: 'thing',
});
export const Delivered = yard.event('delivered', z.object({ thing: z.string(), turn: z.int() }), {
  subject: 'thing',
});
