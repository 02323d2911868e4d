/** Further attempts for each call that was made. */
const share = 0.1;
/** So many may be saved up: a callee that fails at once gets no storm after a quiet hour. */
const most = 10;

/**
 * How many further attempts a caller may make: a tenth of its calls, so that retries never make more than 1.1 times the
 * load out of a callee's trouble. The idea is from Finagle and from Google's SRE book ("retry budget").
 */
export class RetryBudget {
  #left = 1;

  /** A call was made. */
  earn(): void {
    this.#left = Math.min(most, this.#left + share);
  }

  /** @returns whether one more attempt is affordable, which is then spent */
  spend(): boolean {
    // Ten tenths are not quite one.
    if (this.#left < 1 - Number.EPSILON * 16) return false;
    this.#left = Math.max(0, this.#left - 1);
    return true;
  }
}
