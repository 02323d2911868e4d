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

/** One limit that a request comes under. */
export interface Claim {
  /** Its name in the RateLimit headers. */
  policy: 'address' | 'member' | 'route' | 'member-route';
  limit: RateLimit;
  /** Whose requests are counted together. */
  key: string;
}

const seconds = { second: 1, minute: 60, hour: 3_600 };
/** Redis is waited for this long (milliseconds), and one that is silent for a second is taken for away. */
const redisTimeout = 100;
const redisSilence = 1_000;

/**
 * Counts requests: over all replicas where there is a Redis, in this process where there is none. Where Redis is away,
 * each replica counts by itself, and nobody is refused for that.
 */
@Injectable()
export class RateLimits implements OnApplicationShutdown {
  readonly #log = new Logger('rate limits');
  readonly #redis: Redis | undefined;
  #isRedisAway = false;
  /** By the text of the limit and the name of its policy. */
  readonly #counters = new Map<string, Counter>();

  constructor(settings: GatewaySettings) {
    this.#redis = settings.redisUrl ? this.#connect(settings.redisUrl) : undefined;
  }

  /**
   * Counts a request, and tells the client how it stands (RateLimit, RateLimit-Policy).
   * @throws Rejection `too-many-requests`, with the seconds to wait, where the limit is used up
   */
  count(context: RequestContext, { policy, limit, key }: Claim): Promise<void> {
    const { limiter, told } = this.#counter(policy, limit);
    const tell = ({ remainingPoints, msBeforeNext }: RateLimiterRes): number => {
      const seconds = Math.ceil(msBeforeNext / 1_000);
      context
        .append('ratelimit-policy', told)
        .append('ratelimit', `"${policy}";r=${remainingPoints};t=${seconds}`);
      return seconds;
    };
    return limiter.consume(key).then(
      (state) => void tell(state),
      (error: unknown) => {
        if (!(error instanceof RateLimiterRes)) throw error;
        const no = new Rejection('too-many-requests', 429, `not more than ${limit} for each ${of[policy]}`);
        throw no.until(tell(error));
      },
    );
  }

  /** Under each of the claims. @throws Rejection of those that are used up the one that lasts for longest */
  async countAll(context: RequestContext, claims: Claim[]): Promise<void> {
    const counted = await Promise.allSettled(claims.map((claim) => this.count(context, claim)));
    const refused = counted.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : []));
    const wait = (error: Error) => (error instanceof Rejection ? error.retryAfter! : Infinity);
    if (refused.length > 0) throw refused.reduce((a, b) => (wait(b) > wait(a) ? b : a));
  }

  #counter(policy: Claim['policy'], limit: RateLimit): Counter {
    const name = `${policy}:${limit}`;
    let counter = this.#counters.get(name);
    if (!counter) {
      const [points, duration] = read(limit);
      const memory = new RateLimiterMemory({ keyPrefix: name, points, duration });
      const limiter = this.#redis
        ? new RateLimiterRedis({
            ...{ keyPrefix: `jogakbo:limit:${name}`, points, duration },
            storeClient: this.#redis,
            rejectIfRedisNotReady: true,
            insuranceLimiter: memory,
          })
        : memory;
      counter = { limiter, told: `"${policy}";q=${points};w=${duration}` };
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
      commandTimeout: redisTimeout,
      socketTimeout: redisSilence,
      retryStrategy: (attempts) => Math.min(attempts * 100, 2_000),
    });
    redis.on('error', (error: Error) => {
      if (this.#isRedisAway) return;
      this.#isRedisAway = true;
      this.#log.warn(`Redis is away, each replica counts by itself: ${error.message || error.name}`);
    });
    redis.on('ready', () => {
      if (this.#isRedisAway) this.#log.log('Redis is back: replicas count together again');
      this.#isRedisAway = false;
    });
    return redis;
  }

  onApplicationShutdown(): void {
    this.#redis?.disconnect();
  }
}

interface Counter {
  limiter: RateLimiterAbstract;
  /** What RateLimit-Policy says of it. */
  told: string;
}

const of = {
  ...{ address: 'address', member: 'member' },
  ...{ route: 'address on this route', 'member-route': 'member on this route' },
};

function read(limit: RateLimit): [points: number, seconds: number] {
  const [points, window] = limit.split('/') as [string, keyof typeof seconds];
  return [Number(points), seconds[window]];
}
