import { z } from 'zod';

/** An amount in integer minor units of an ISO 4217 currency (KRW has none: 1000 is 1000 won). */
export const Money = z.strictObject({
  amount: z
    .int()
    .nonnegative()
    .meta({ examples: [12_000] }),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .meta({ examples: ['KRW'] }),
});
export type Money = z.infer<typeof Money>;
