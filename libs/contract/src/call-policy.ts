import { z } from 'zod';

const fields = {
  concurrency: z.int().min(1).describe('calls that one caller has open at most'),
  queue: z.int().min(0).describe('calls that wait for one of these to end; more are refused'),
  retries: z.int().min(0).max(5).describe('further attempts of a query that nobody took'),
  calls: z.int().min(1).max(1_000).describe('how many of the last calls are looked at'),
  failures: z.number().gt(0).lt(1).describe('share of these above which the callee is left alone'),
  openFor: z.int().min(1).describe('milliseconds until one call tries whether it is back'),
  batches: z
    .boolean()
    .describe('whether it reads several queries from one message; a stock Nest server does not'),
};

/** How those who ask a service go about it. Declared with the service, kept by every instance of every caller for itself. */
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

/** Some of it, to go before what was declared. */
export const CallPolicyChange = z.strictObject(fields).partial();
export type CallPolicyChange = z.infer<typeof CallPolicyChange>;
