/** A message holds no more: the instances of a service share the work by messages. */
export const mostTogether = 32;

/** Gathers what is sent within one turn of the event loop, by where it goes. */
export class RequestBatch<T> {
  #gathered = new Map<string, T[]>();

  /** @param send is given what goes to the same place, in the order in which it was added */
  constructor(private readonly send: (to: string, together: T[]) => void) {}

  add(to: string, one: T): void {
    if (this.#gathered.size === 0) setImmediate(() => this.#sendAll());
    const known = this.#gathered.get(to);
    if (known) known.push(one);
    else this.#gathered.set(to, [one]);
  }

  #sendAll(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    for (const [to, all] of gathered) {
      for (let from = 0; from < all.length; from += mostTogether) {
        this.send(to, all.length <= mostTogether ? all : all.slice(from, from + mostTogether));
      }
    }
  }
}
