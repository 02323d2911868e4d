import { Rejection } from '@jogakbo/contract';
import { Metrics } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { bulkhead, BulkheadRejectedError } from 'cockatiel';
import { Counter } from 'prom-client';
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

/** Hashes passwords a few at a time. A flood of them costs neither more memory nor more threads than these few. */
@Injectable()
export class Hashing {
  readonly #turns = bulkhead(atOnce, waiting);
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

  /** @throws Rejection `too-busy` where too many wait */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => {
      this.#spent.inc();
      return hashPassword(password);
    });
  }

  /** @throws Rejection `too-busy` where too many wait */
  fits(password: string, hash: string, guard?: Guard): Promise<boolean> {
    return this.#inTurn(async () => {
      await guard?.before();
      this.#spent.inc();
      const fits = await passwordFits(password, hash);
      if (!fits) await guard?.failed();
      return fits;
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const came = performance.now();
    try {
      return await this.#turns.execute(() => {
        if (performance.now() - came > patience) throw new BulkheadRejectedError(atOnce, waiting);
        return work();
      });
    } catch (error) {
      if (!(error instanceof BulkheadRejectedError)) throw error;
      this.#refused.inc();
      throw new Rejection(
        'too-busy',
        429,
        'too many sign in or up at this moment: try again in some seconds',
      ).until(2);
    }
  }
}
