const firstDelayMs = 500;
const maxDelayMs = 15_000;
const resetAfterMs = 30_000;

/** Exponential backoff for restarts: 0.5 s to 15 s. Resets after an uptime of 30 s. */
export class Backoff {
  #next = firstDelayMs;

  /** @param uptimeMs how long the process ran @returns milliseconds until the next start; longer at each call */
  getNextDelay(uptimeMs: number): number {
    if (uptimeMs >= resetAfterMs) this.#next = firstDelayMs;
    const delay = this.#next;
    this.#next = Math.min(delay * 2, maxDelayMs);
    return delay;
  }
}
