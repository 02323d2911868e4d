import { Rejection, type RateLimit } from '@jogakbo/contract';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import {
  RateLimiterMemory,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible';
import type { RequestContext } from './request-context.ts';
import { GatewaySettings } from './settings.ts';

/** A rate limit that applies to a request. */
export interface Claim {
  /** The policy name in the RateLimit headers. */
  policy: 'address' | 'member' | 'route' | 'member-route';
  limit: RateLimit;
  /** Requests with the same key are counted together. */
  key: string;
}

const seconds = { second: 1, minute: 60, hour: 3_600 };
/** Milliseconds until a Redis command fails, and until a silent connection is considered lost. */
const redisTimeoutMs = 100;
const redisIdleTimeoutMs = 1_000;

/**
 * Rate limits, shared by all replicas if Redis is configured, else per process. While Redis is unavailable, each replica
 * counts on its own and does not reject requests for that reason.
 */
@Injectable()
export class RateLimits implements OnApplicationShutdown {
  readonly #log = new Logger('rate limits');
  readonly #redis: Redis | undefined;
  #isRedisDown = false;
  /** By policy and limit. */
  readonly #counters = new Map<string, Counter>();

  constructor(settings: GatewaySettings) {
    this.#redis = settings.redisUrl ? this.#connect(settings.redisUrl) : undefined;
  }

  /**
   * Counts a request and sets the headers RateLimit and RateLimit-Policy.
   * @throws Rejection `too-many-requests`, with the seconds to wait, if the limit is exceeded
   */
  count(context: RequestContext, { policy, limit, key }: Claim): Promise<void> {
    const { limiter, policyHeader } = this.#getCounter(policy, limit);
    const setHeaders = ({ remainingPoints, msBeforeNext }: RateLimiterRes): number => {
      const seconds = Math.ceil(msBeforeNext / 1_000);
      context
        .append('ratelimit-policy', policyHeader)
        .append('ratelimit', `"${policy}";r=${remainingPoints};t=${seconds}`);
      return seconds;
    };
    return limiter.consume(key).then(
      (state) => void setHeaders(state),
      (error: unknown) => {
        if (!(error instanceof RateLimiterRes)) throw error;
        const detail = `the limit is ${limit} per ${scopes[policy]}`;
        throw new Rejection('too-many-requests', 429, detail).until(setHeaders(error));
      },
    );
  }

  /** Counts a request for each claim. @throws Rejection of the exceeded limit with the longest wait */
  async countAll(context: RequestContext, claims: Claim[]): Promise<void> {
    const counted = await Promise.allSettled(claims.map((claim) => this.count(context, claim)));
    const refused = counted.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
    const wait = (error: Error) => (error instanceof Rejection ? error.retryAfter! : Infinity);
    if (refused.length > 0) throw refused.reduce((a, b) => (wait(b) > wait(a) ? b : a));
  }

  #getCounter(policy: Claim['policy'], limit: RateLimit): Counter {
    const name = `${policy}:${limit}`;
    let counter = this.#counters.get(name);
    if (!counter) {
      const [points, duration] = parseLimit(limit);
      const memory = new RateLimiterMemory({ keyPrefix: name, points, duration });
      const limiter = this.#redis
        ? new RateLimiterRedis({
            keyPrefix: `jogakbo:limit:${name}`,
            points,
            duration,
            storeClient: this.#redis,
            rejectIfRedisNotReady: true,
            insuranceLimiter: memory,
          })
        : memory;
      counter = { limiter, policyHeader: `"${policy}";q=${points};w=${duration}` };
      this.#counters.set(name, counter);
    }
    return counter;
  }

  #connect(url: string): Redis {
    const redis = new Redis(url, {
      connectionName: 'gateway',
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 1_000,
      commandTimeout: redisTimeoutMs,
      socketTimeout: redisIdleTimeoutMs,
      retryStrategy: (attempts) => Math.min(attempts * 100, 2_000),
    });
    redis.on('error', (error: Error) => {
      if (this.#isRedisDown) return;
      this.#isRedisDown = true;
      this.#log.warn(`Redis is unavailable, this replica counts on its own: ${error.message || error.name}`);
    });
    redis.on('ready', () => {
      if (this.#isRedisDown) this.#log.log('Redis is available again: replicas share their counts');
      this.#isRedisDown = false;
    });
    return redis;
  }

  onApplicationShutdown(): void {
    this.#redis?.disconnect();
  }
}

interface Counter {
  limiter: RateLimiterAbstract;
  /** Its value in RateLimit-Policy. */
  policyHeader: string;
}

const scopes = {
  address: 'address',
  member: 'member',
  route: 'address on this route',
  'member-route': 'member on this route',
};

function parseLimit(limit: RateLimit): [points: number, seconds: number] {
  const [points, window] = limit.split('/') as [string, keyof typeof seconds];
  return [Number(points), seconds[window]];
}
