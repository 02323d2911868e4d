/** Runs work side by side, but work with the same key one after the other, in the order it was given. */
export class InOrder {
  readonly #tails = new Map<string, Promise<void>>();

  /** @param key undefined: no order is asked for */
  run<T>(key: string | undefined, work: () => Promise<T>): Promise<T> {
    if (key === undefined) return work();
    const result = (this.#tails.get(key) ?? Promise.resolve()).then(work);
    const tail = result.then(
      () => {},
      () => {},
    );
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    return result;
  }
}
