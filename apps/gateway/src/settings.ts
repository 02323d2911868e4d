import { live, settings } from '@jogakbo/service';
import { z } from 'zod';

export class GatewaySettings extends settings({
  requestTimeout: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .max(60_000)
      .default(5_000)
      .describe('milliseconds that a service has to answer'),
  ),
  bodyLimit: z.coerce
    .number()
    .int()
    .min(1_024)
    .max(10_485_760)
    .default(65_536)
    .describe('bytes of a request body at most'),
  responseLimit: z.coerce
    .number()
    .int()
    .min(1_024)
    .max(104_857_600)
    .default(4_194_304)
    .describe('bytes at most of an answer of a service that is asked over HTTP'),
  tokenIssuer: z
    .string()
    .min(1)
    .default('http://localhost:3000')
    .describe('the issuer whose access tokens are accepted'),
  tokenAudience: z.string().min(1).default('jogakbo').describe('the audience that a token must be made for'),
  publicUrl: z
    .string()
    .regex(/^(\/|https?:\/\/\S+)$/, 'a URL, or / for wherever the document was read from')
    .default('/')
    .describe('where clients reach the API, for /openapi.json'),
  readyRoutes: z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((route) => route.trim() || []))
    .pipe(z.array(z.string().regex(/^[A-Z]+ \/\S*$/, 'METHOD /path, separated by commas')))
    .describe('routes that must be served for /health/ready, as METHOD /path, separated by commas'),
  learnFor: z.coerce
    .number()
    .min(0)
    .default(6)
    .describe(
      'seconds after its start in which a route that was not heard of yet may still come (503, not 404)',
    ),
}) {}
