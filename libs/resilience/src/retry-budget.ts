/** Retries per call. */
const retriesPerCall = 0.1;
/** Maximum saved retries: prevents a retry storm after a long time without failures. */
const maxBalance = 10;

/**
 * Limits the retries of a caller to a tenth of its calls, so that retries raise the load on a failing callee to at most 1.1
 * times. See "retry budget" in Finagle and in Google's SRE book.
 */
export class RetryBudget {
  #balance = 1;

  /** Adds the share of one call. */
  earn(): void {
    this.#balance = Math.min(maxBalance, this.#balance + retriesPerCall);
  }

  /** Takes one retry from the budget. @returns false if the budget is used up */
  spend(): boolean {
    // Rounding: ten times 0.1 is less than 1.
    if (this.#balance < 1 - Number.EPSILON * 16) return false;
    this.#balance = Math.max(0, this.#balance - 1);
    return true;
  }
}
