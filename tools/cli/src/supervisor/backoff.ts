const first = 500;
const longest = 15_000;
const steady = 30_000;

/** How long to wait before starting something again: twice as long each time, from the start again after 30 s of life. */
export class Backoff {
  #next = first;

  getAfterLife(milliseconds: number): number {
    if (milliseconds >= steady) this.#next = first;
    const delay = this.#next;
    this.#next = Math.min(delay * 2, longest);
    return delay;
  }
}
