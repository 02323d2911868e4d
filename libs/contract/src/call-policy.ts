import { z } from 'zod';

const fields = {
  concurrency: z.int().min(1).describe('maximum number of concurrent calls per caller'),
  queue: z
    .int()
    .min(0)
    .describe('maximum number of calls that wait for a free slot; further calls are rejected'),
  retries: z.int().min(0).max(5).describe('retries of a query that no instance handled'),
  calls: z.int().min(1).max(1_000).describe('number of recent calls that the circuit breaker evaluates'),
  failures: z.number().gt(0).lt(1).describe('share of failed calls above which the circuit opens'),
  openFor: z.int().min(1).describe('milliseconds until one call probes whether the callee has recovered'),
  batches: z
    .boolean()
    .describe('whether the callee accepts several queries in one message; a stock Nest server does not'),
};

/** How callers call a service. Declared with the service; every instance of a caller applies it independently. */
export const CallPolicy = z.strictObject({
  concurrency: fields.concurrency.default(64),
  queue: fields.queue.default(256),
  retries: fields.retries.default(2),
  calls: fields.calls.default(20),
  failures: fields.failures.default(0.5),
  openFor: fields.openFor.default(2_000),
  batches: fields.batches.default(true),
});
export type CallPolicy = z.infer<typeof CallPolicy>;

/** Overrides of declared values. */
export const CallPolicyChange = z.strictObject(fields).partial();
export type CallPolicyChange = z.infer<typeof CallPolicyChange>;
