import { settings } from '@jogakbo/service';
import { z } from 'zod';

export class PaymentsSettings extends settings({
  providerUrl: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('where the payment provider is; the sandbox of this service where it is not set'),
  providerTimeout: z.coerce
    .number()
    .int()
    .min(1)
    .max(60_000)
    .default(5_000)
    .describe('milliseconds that an attempt at the provider may take; three attempts are made'),
  sandboxDelay: z.coerce
    .number()
    .int()
    .min(0)
    .max(300_000)
    .default(30_000)
    .describe('milliseconds after which the sandbox answers for tok_timeout'),
}) {}
