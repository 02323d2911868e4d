import { Rejection } from '@jogakbo/contract';
import { Metrics } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { Counter } from 'prom-client';
import { FairQueue, QueueFull } from './fair-queue.ts';
import { hashPassword, passwordFits } from './password.ts';

/** Each takes 19 MiB and one of the four threads that files and name lookups of this process need as well. */
const atOnce = 2;
/** Done within a second, and fewer than the messages that the service takes at once: other work goes on beside them. */
const waiting = 46;
/**
 * Milliseconds. Where a machine is so busy that a turn comes later, whoever asked is about to give up: a hash for nobody
 * would only make the next ones wait, until all who ask this service take it for broken.
 */
const patience = 2_500;

/** What happens when the turn of a comparison has come: `before` may throw, and then no hash is spent. */
export interface Guard {
  before(): Promise<void>;
  failed(): Promise<void>;
}

/** What is asked from inside: no network of a client. */
export const inside = 'inside';

/**
 * Hashes passwords a few at a time. A flood of them costs neither more memory nor more threads than these few, and a flood
 * from one network keeps no other from its turn.
 */
@Injectable()
export class Hashing {
  readonly #queue = new FairQueue(atOnce, waiting, patience);
  readonly #spent: Counter;
  readonly #refused: Counter;

  constructor(metrics: Metrics) {
    const registers = [metrics.registry];
    this.#spent = new Counter({
      name: 'password_hashes_total',
      help: 'Password hashes that were worked out.',
      registers,
    });
    this.#refused = new Counter({
      name: 'password_hashes_refused_total',
      help: 'Password hashes that were refused, for too many waited.',
      registers,
    });
  }

  /**
   * @param network of the client who asks, or `inside`
   * @throws Rejection `too-busy` where too many wait
   */
  hash(password: string, network: string): Promise<string> {
    return this.#inTurn(network, () => {
      this.#spent.inc();
      return hashPassword(password);
    });
  }

  /**
   * @param network of the client who asks, or `inside`
   * @throws Rejection `too-busy` where too many wait
   */
  fits(password: string, hash: string, network: string, guard?: Guard): Promise<boolean> {
    return this.#inTurn(network, async () => {
      await guard?.before();
      this.#spent.inc();
      const fits = await passwordFits(password, hash);
      if (!fits) await guard?.failed();
      return fits;
    });
  }

  async #inTurn<T>(network: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#queue.run(network, work);
    } catch (error) {
      if (!(error instanceof QueueFull)) throw error;
      this.#refused.inc();
      throw new Rejection(
        'too-busy',
        429,
        'too many sign in or up at this moment: try again in some seconds',
      ).until(2);
    }
  }
}
