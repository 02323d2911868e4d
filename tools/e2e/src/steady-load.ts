import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, type Store } from './store.ts';

export interface LoadResult {
  requests: number;
  purchases: number;
  /** Answers and errors that a customer would notice. */
  failures: string[];
}

const secondsBetweenPurchases = 0.25;

/** Reads at a steady rate and buys one after the other, until it is stopped. */
export class SteadyLoad {
  readonly #store: Store;
  readonly #running: Promise<unknown>;
  readonly #result: LoadResult = { requests: 0, purchases: 0, failures: [] };
  #isStopped = false;

  /** @param perSecond reads per second */
  constructor(store: Store, customer: { token: string }, productId: string, perSecond = 50) {
    this.#store = store;
    this.#running = Promise.all([
      this.#read(productId, customer.token, perSecond),
      this.#buy(productId, customer.token),
    ]);
  }

  async #read(productId: string, token: string, perSecond: number): Promise<void> {
    const calls: Promise<void>[] = [];
    const paths = [`/v1/products/${productId}`, '/v1/orders?limit=1', `/v1/stock/${productId}`];
    for (let nth = 0; !this.#isStopped; nth++) {
      const path = paths[nth % paths.length]!;
      const headers = { 'cache-control': 'no-cache' };
      calls.push(this.#count('requests', path, this.#store.call('GET', path, { token, headers }), [200]));
      await pause(1_000 / perSecond);
    }
    await Promise.all(calls);
  }

  async #buy(productId: string, token: string): Promise<void> {
    while (!this.#isStopped) {
      const order = this.#store.buy(token, this.#store.buildOrder(productId));
      await this.#count('purchases', 'POST /v1/orders', order, [200, 201, 202]);
      await pause(1_000 * secondsBetweenPurchases);
    }
  }

  async #count(
    what: 'requests' | 'purchases',
    path: string,
    answering: Promise<Answer>,
    expected: number[],
  ): Promise<void> {
    this.#result[what] += 1;
    try {
      const { status, text } = await answering;
      if (!expected.includes(status)) this.#result.failures.push(`${path} ${status} ${text.slice(0, 200)}`);
    } catch (error) {
      this.#result.failures.push(`${path} ${(error as Error).message}`);
    }
  }

  async stop(): Promise<LoadResult> {
    this.#isStopped = true;
    await this.#running;
    return this.#result;
  }
}
