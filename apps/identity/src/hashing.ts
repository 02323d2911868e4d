import { Rejection } from '@jogakbo/contract';
import { Metrics } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { FairQueue, QueueFull } from './fair-queue.ts';
import { hashPassword, verifyPassword } from './password.ts';

/** Each hash takes 19 MiB and one of the four libuv threads, which also serve file access and DNS lookups. */
const concurrency = 2;
/** Takes about a second, and is below the prefetch of the service, so other messages are handled meanwhile. */
const queueCapacity = 46;
/**
 * Milliseconds. After a longer wait the caller is about to time out. The hash would only delay later requests, until
 * callers open their circuit breakers for this service.
 */
const queueTimeoutMs = 2_500;

/** Hooks around a password check: `beforeHash` may throw to prevent the hash. */
export interface Guard {
  beforeHash(): Promise<void>;
  recordFailure(): Promise<void>;
}

/** The source of internal requests, which have no client network. */
export const internalSource = 'inside';

/**
 * Hashes passwords with limited concurrency, which bounds memory and threads during a flood. Networks are served
 * round-robin, so a flood from one network does not block others.
 */
@Injectable()
export class Hashing {
  readonly #queue = new FairQueue(concurrency, queueCapacity, queueTimeoutMs);
  readonly #computed: Counter;
  readonly #rejected: Counter;

  constructor(metrics: Metrics) {
    const registers = [metrics.registry];
    this.#computed = new Counter({
      name: 'password_hashes_total',
      help: 'Password hashes computed.',
      registers,
    });
    this.#rejected = new Counter({
      name: 'password_hashes_refused_total',
      help: 'Password hashes rejected because the queue was full or too slow.',
      registers,
    });
  }

  /**
   * @param network of the client, or `internalSource`
   * @throws Rejection `too-busy` if the queue is full or too slow
   */
  hash(password: string, network: string): Promise<string> {
    return this.#enqueue(network, () => {
      this.#computed.inc();
      return hashPassword(password);
    });
  }

  /**
   * @param network of the client, or `internalSource`
   * @throws Rejection `too-busy` if the queue is full or too slow
   */
  verify(password: string, hash: string, network: string, guard?: Guard): Promise<boolean> {
    return this.#enqueue(network, async () => {
      await guard?.beforeHash();
      this.#computed.inc();
      const isCorrect = await verifyPassword(password, hash);
      if (!isCorrect) await guard?.recordFailure();
      return isCorrect;
    });
  }

  async #enqueue<T>(network: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#queue.run(network, work);
    } catch (error) {
      if (!(error instanceof QueueFull)) throw error;
      this.#rejected.inc();
      throw new Rejection(
        'too-busy',
        429,
        'too many sign-ins and sign-ups at the moment: try again in a few seconds',
      ).until(2);
    }
  }
}
