/** Maximum per message: instances of a service share the load message by message. */
export const maxBatchSize = 32;

/** Batches the items, requests or answers, that are sent to the same destination within one event-loop iteration. */
export class TurnBatch<T> {
  #gathered = new Map<string, T[]>();

  /** @param send receives the items of one destination, in the order in which they were added */
  constructor(private readonly send: (to: string, items: T[]) => void) {}

  add(to: string, item: T): void {
    if (this.#gathered.size === 0) setImmediate(() => this.#sendAll());
    const known = this.#gathered.get(to);
    if (known) known.push(item);
    else this.#gathered.set(to, [item]);
  }

  #sendAll(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [to, all] of gathered) {
      for (let from = 0; from < all.length; from += maxBatchSize) {
        this.send(to, all.length <= maxBatchSize ? all : all.slice(from, from + maxBatchSize));
      }
    }
  }
}
