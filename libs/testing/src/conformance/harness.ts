import { service, type AnyContract, type AnyRequest, type Input, type Reply } from '@jogakbo/contract';
import { z } from 'zod';

export type Handlers = [AnyContract, (data: never) => unknown][];

/** A dead-lettered message. */
export interface DeadLettered {
  /** Number of attempts, including the first. */
  failures: number;
  cause: string;
  body: string;
}

/** A transport for the conformance suite, on a real broker that no other test uses. */
export interface Harness {
  /** Number of retries of a failing message before it is dead-lettered. */
  retries: number;
  /** Serves the service `shop`: at most `prefetch` messages of a kind at a time. */
  serve(handlers: Handlers, prefetch?: number): Promise<ServedService>;
  /** Sends a request from a separate connection. */
  ask<C extends AnyRequest>(contract: C, input: Input<C>, options?: { timeout?: number }): Promise<Reply<C>>;
  /** Sends a command without waiting for a reply. Resolves when the transport has confirmed it. */
  send(contract: AnyRequest, data: unknown): Promise<void>;
  /** Publishes an event. Resolves when the transport has confirmed it. */
  announce(contract: AnyContract, data: unknown): Promise<void>;
  /** Publishes a raw body in place of an event of this contract. */
  poison(contract: AnyContract, body: string): Promise<void>;
  /** Takes all messages that were dead-lettered since the last call. */
  takeDeadLetters(): Promise<DeadLettered[]>;
  /** Cuts all connections, as a failing network would. They can be restored. */
  cutConnections(): Promise<void>;
  /** True while `ask` can reach the transport. */
  isConnected(): boolean;
  /** Closes everything, including the served services. */
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
export const Repair = shop.command('repair', {
  input: z.strictObject({ thing: z.string(), turn: z.int().optional() }),
  subject: 'thing',
});
export const Delivered = yard.event('delivered', z.object({ thing: z.string(), turn: z.int() }), {
  subject: 'thing',
});
