import { environmentOnly, secret, settings } from '@jogakbo/service';
import { z } from 'zod';

export class PaymentsSettings extends settings(
  {
    providerUrl: environmentOnly(
      z
        .url({ protocol: /^https?$/ })
        .optional()
        .describe(
          'URL of the payment provider, https:// outside local mode. If it is not set, the service uses its sandbox in ' +
            'local mode and does not start otherwise',
        ),
    ),
    providerToken: secret(
      z
        .string()
        .regex(/^[\x21-\x7e]{16,}$/, 'at least 16 characters of ASCII, without spaces')
        .optional()
        .describe('bearer token of the store at the provider'),
    ),
    providerTimeout: z.coerce
      .number()
      .int()
      .min(1)
      .max(60_000)
      .default(5_000)
      .describe('timeout of one attempt at the provider in milliseconds; there are three attempts'),
    sandboxDelay: z.coerce
      .number()
      .int()
      .min(0)
      .max(300_000)
      .default(30_000)
      .describe('delay in milliseconds before the sandbox responds for tok_timeout'),
  },
  ({ providerUrl, providerToken }, { localMode }) => ({
    providerUrl:
      !localMode &&
      (providerUrl === undefined
        ? 'is missing: set it, or LOCAL_MODE=true to use the sandbox, which charges nothing'
        : !providerUrl.startsWith('https://') && 'must be https:// outside local mode'),
    providerToken:
      !localMode &&
      providerToken === undefined &&
      'is missing: set the token that authenticates the store at the provider',
  }),
) {}
