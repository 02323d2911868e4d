import { RateLimitText, type RateLimit } from '@jogakbo/contract';
import { environmentOnly, describeMissingTls, live, secret, settings } from '@jogakbo/service';
import { languagesSetting } from '@jogakbo/service/workspace-settings';
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
    context.addIssue('must be addresses, networks such as 10.0.0.0/8, or loopback, separated by commas');
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
      .describe('timeout of a call to a service, in milliseconds'),
  ),
  bodyLimit: z.coerce
    .number()
    .int()
    .min(1_024)
    .max(10_485_760)
    .default(65_536)
    .describe('maximum size of a request body, in bytes'),
  responseLimit: z.coerce
    .number()
    .int()
    .min(1_024)
    .max(104_857_600)
    .default(4_194_304)
    .describe('maximum size of a response of an external service over HTTP, in bytes'),
  upstreamRequests: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(128)
      .describe('maximum concurrent requests to each external service over HTTP'),
  ),
  tokenIssuer: environmentOnly(
    z
      .string()
      .min(1)
      .describe('the issuer of accepted access tokens: the same as TOKEN_ISSUER of the identity service'),
  ),
  tokenAudience: environmentOnly(
    z.string().min(1).default('jogakbo').describe('the required audience of access tokens'),
  ),
  identityService: environmentOnly(
    z.string().min(1).default('identity').describe('the service with the keys to verify access tokens'),
  ),
  publicUrl: environmentOnly(
    z
      .string()
      .regex(/^(\/|https?:\/\/\S+)$/, 'must be a URL, or / for the origin of the document')
      .default('/')
      .describe('URL of the API for clients, in /openapi.json'),
  ),
  title: environmentOnly(
    z
      .string()
      .min(1)
      .default('API')
      .describe('the name of the product, in the documents and on the home page'),
  ),
  languages: languagesSetting,
  readyRoutes: list
    .pipe(z.array(z.string().regex(/^[A-Z]+ \/\S*$/, 'must be METHOD /path, separated by commas')))
    .describe('routes that must be served for /health/ready, as METHOD /path, separated by commas'),
  learnFor: z.coerce
    .number()
    .min(0)
    .default(6)
    .describe('seconds after the start during which an unknown route gets 503 instead of 404'),
  rateLimitAddress: live(rateLimit('300000/minute').describe('rate limit per client address')),
  rateLimitMember: live(rateLimit('30000/minute').describe('rate limit per member')),
  redisUrl: environmentOnly(
    secret(
      z
        .url({ protocol: /^rediss?$/ })
        .optional()
        .describe('rediss://… for rate limits shared by all gateway replicas'),
    ),
  ),
  deniedUpstreams: environmentOnly(
    EndpointList.describe(
      'endpoints of the store that external services cannot use, as host:port or host, separated by commas',
    ),
  ),
  maxInFlight: live(
    z.coerce
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(2_000)
      .describe('maximum concurrent requests; public reads may use 60 % of them'),
  ),
  maxLoopDelay: live(
    z.coerce
      .number()
      .min(1)
      .max(10_000)
      .default(250)
      .describe('event-loop delay from which public reads are rejected, in milliseconds'),
  ),
  arrivalTimeout: z.coerce
    .number()
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('maximum time to receive a request with headers and body, in milliseconds'),
  corsOrigins: environmentOnly(
    list
      .pipe(
        z.array(
          z
            .string()
            .regex(
              /^https?:\/\/[^/\s*]+$/,
              'must be origins such as https://shop.example, separated by commas',
            ),
        ),
      )
      .describe('origins whose pages may call the API, separated by commas; none by default'),
  ),
  metricsReaders: environmentOnly(
    peers
      .prefault('loopback,linklocal,uniquelocal')
      .describe('addresses that may read /metrics; others get 404'),
  ),
  trustProxy: environmentOnly(
    peers.describe('trusted proxies, which may set X-Forwarded-For and X-Forwarded-Proto; none by default'),
  ),
  drainDelay: z.coerce
    .number()
    .min(0)
    .max(8)
    .default(0)
    .describe('seconds between failing readiness and closing the HTTP listener'),
};

export class GatewaySettings extends settings(shape, ({ redisUrl }, platform) => ({
  redisUrl: describeMissingTls(redisUrl, platform),
})) {}
