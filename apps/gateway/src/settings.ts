import { RateLimitText, type RateLimit } from '@jogakbo/contract';
import { environmentOnly, findPlaintext, live, secret, settings } from '@jogakbo/service';
import { EndpointList } from '@jogakbo/service/upstream-addresses';
import { z } from 'zod';
import { compileTrust } from './client-address.ts';

const rateLimit = (text: RateLimit) => RateLimitText.default(text);
const list = z
  .string()
  .default('')
  .transform((text) => text.split(',').flatMap((one) => one.trim() || []));

const peers = list.transform((names, context) => {
  try {
    return compileTrust(names);
  } catch {
    context.addIssue('addresses, networks such as 10.0.0.0/8, or loopback, separated by commas');
    return z.NEVER;
  }
});

const shape = {
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
  upstreamRequests: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(128)
      .describe('requests at once at most to each service that is asked over HTTP'),
  ),
  tokenIssuer: environmentOnly(
    z
      .string()
      .min(1)
      .describe(
        'the issuer whose access tokens are accepted: the same as TOKEN_ISSUER of the identity service',
      ),
  ),
  tokenAudience: environmentOnly(
    z.string().min(1).default('jogakbo').describe('the audience that a token must be made for'),
  ),
  identityService: environmentOnly(
    z.string().min(1).default('identity').describe('the service whose keys access tokens are verified with'),
  ),
  publicUrl: environmentOnly(
    z
      .string()
      .regex(/^(\/|https?:\/\/\S+)$/, 'a URL, or / for wherever the document was read from')
      .default('/')
      .describe('where clients reach the API, for /openapi.json'),
  ),
  readyRoutes: list
    .pipe(z.array(z.string().regex(/^[A-Z]+ \/\S*$/, 'METHOD /path, separated by commas')))
    .describe('routes that must be served for /health/ready, as METHOD /path, separated by commas'),
  learnFor: z.coerce
    .number()
    .min(0)
    .default(6)
    .describe(
      'seconds after its start in which a route that was not heard of yet may still come (503, not 404)',
    ),
  rateLimitAddress: live(rateLimit('300000/minute').describe('requests of one address')),
  rateLimitMember: live(rateLimit('30000/minute').describe('requests of one member')),
  redisUrl: environmentOnly(
    secret(
      z
        .url({ protocol: /^rediss?$/ })
        .optional()
        .describe('rediss://…, where the replicas of the gateway count requests together'),
    ),
  ),
  deniedUpstreams: environmentOnly(
    EndpointList.describe(
      'endpoints of the store that are never asked for services outside, as host:port or host, separated by commas',
    ),
  ),
  maxInFlight: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(2_000)
      .describe('requests at once at most; of browsing 60 % of them'),
  ),
  maxLoopDelay: live(
    z.coerce
      .number()
      .min(1)
      .max(10_000)
      .default(250)
      .describe('milliseconds that the event loop may lag before browsing is refused'),
  ),
  arrivalTimeout: z.coerce
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('milliseconds that a request, headers and body, may take to arrive'),
  corsOrigins: environmentOnly(
    list
      .pipe(
        z.array(
          z
            .string()
            .regex(/^https?:\/\/[^/\s*]+$/, 'origins such as https://shop.example, separated by commas'),
        ),
      )
      .describe('origins whose pages may call the API, separated by commas; none by default'),
  ),
  metricsReaders: environmentOnly(
    peers
      .prefault('loopback,linklocal,uniquelocal')
      .describe('who may read /metrics; for others there is no such route'),
  ),
  trustProxy: environmentOnly(
    peers.describe('peers whose X-Forwarded-For and X-Forwarded-Proto are believed; none by default'),
  ),
  drainDelay: z.coerce
    .number()
    .min(0)
    .max(8)
    .default(0)
    .describe('seconds between not being ready any more and taking no more connections'),
};

export class GatewaySettings extends settings(shape, ({ redisUrl }, platform) => ({
  redisUrl: findPlaintext(redisUrl, platform),
})) {}
