import { setTimeout as sleep } from 'node:timers/promises';
import type { CallPolicy, CallPolicyChange } from '@jogakbo/contract';
import {
  bulkhead,
  circuitBreaker,
  CircuitState,
  CountBreaker,
  decorrelatedJitterGenerator,
  ExponentialBackoff,
  handleAll,
  type BulkheadPolicy,
  type CircuitBreakerPolicy,
  type IBackoff,
} from 'cockatiel';
import { RetryBudget } from './retry-budget.ts';

/** One call, before it is made. */
export interface Call {
  /** The service that is asked. */
  callee: string;
  policy: CallPolicy;
  /** True where it may be made twice. */
  safe: boolean;
  /** Milliseconds since 1970 after which nobody waits for the answer. */
  deadline: number;
}

/** A call that was not made: the callee's circuit is `open`, or too many others are under way (`full`). */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  constructor(
    readonly callee: string,
    readonly reason: 'open' | 'full',
  ) {
    super(
      reason === 'open'
        ? `${callee} failed too often and is left alone for a moment`
        : `too many calls to ${callee} are under way`,
    );
  }
}

export interface CallGuardOptions {
  /** Whether an error says that the callee cannot answer. Its "no", and a fault of a single handler, do not. */
  isDown(error: unknown): boolean;
  /** Whether another attempt may end better. */
  mayHelp(error: unknown): boolean;
  /** What to throw for a call that was not made. */
  refuse?(refused: CallRefused): Error;
  /** Values that are to go before those that were declared, looked up at each call. */
  override?(callee: string): CallPolicyChange | undefined;
}

/** How one callee is doing, as seen from here. `refused` and `retried` count from the start of the process. */
export interface CalleeState {
  callee: string;
  circuit: 'closed' | 'half-open' | 'open';
  underWay: number;
  waiting: number;
  refused: { open: number; full: number };
  retried: number;
}

/**
 * Between a caller and all those it asks, so that a sick service makes nobody else sick. For each callee:
 *
 * - a bulkhead: the calls under way are bounded, and so are those that wait for a place;
 * - a circuit breaker: where more than a share of the last calls found nobody, all are refused at once, and after a while
 *   a single one tries whether somebody is back;
 * - retries, only of calls that may be made twice, within the deadline and a budget of a tenth of the calls.
 *
 * Each instance learns for itself: what one of them cannot reach another may.
 */
export class CallGuard {
  readonly #callees = new Map<string, Callee>();

  constructor(private readonly options: CallGuardOptions) {}

  /**
   * Makes a call.
   * @param attempt is run once, or more often where the call is safe
   * @throws CallRefused (or what `refuse` makes of it) where it was not made; else what the last attempt threw
   */
  readonly run = async <T>(call: Call, attempt: () => Promise<T>): Promise<T> => {
    const callee = this.#getCallee(call.callee, call.policy, this.options.override?.(call.callee));
    const { policy } = callee;
    callee.budget.earn();
    let backoff: IBackoff<unknown> | undefined;
    for (let left = call.safe ? policy.retries : 0; ; left--) {
      try {
        return await callee.attempt(attempt);
      } catch (error) {
        if (error instanceof CallRefused) throw this.options.refuse?.(error) ?? error;
        backoff = (backoff ?? pauses).next(undefined);
        const inTime = Date.now() + backoff.duration < call.deadline;
        const another = left > 0 && inTime && this.options.mayHelp(error) && callee.budget.spend();
        if (!another) throw error;
      }
      callee.retried++;
      await sleep(backoff.duration);
    }
  };

  /**
   * Whether a call to it could not even wait now.
   * @param share of its queue, from 0 to 1, that others may have filled: 1 says that the call would be refused
   */
  isFull(callee: string, share = 1): boolean {
    return this.#callees.get(callee)?.isFull(share) ?? false;
  }

  /** Of all that were ever asked. */
  get states(): CalleeState[] {
    return [...this.#callees.values()].map((callee) => callee.state);
  }

  /** A changed policy begins anew, with a closed circuit. */
  #getCallee(name: string, declared: CallPolicy, change: CallPolicyChange | undefined): Callee {
    const known = this.#callees.get(name);
    if (known?.declared === declared && known.change === change) return known;
    const policy = { ...declared, ...change } as CallPolicy;
    if (known?.keeps(policy)) return Object.assign(known, { declared, change });
    const callee = Object.assign(new Callee(name, policy, this.options.isDown, known), { declared, change });
    this.#callees.set(name, callee);
    return callee;
  }
}

const pauses = new ExponentialBackoff({
  ...{ initialDelay: 20, maxDelay: 500, generator: decorrelatedJitterGenerator },
});

/** What an attempt gave that says nothing against the callee. */
type Outcome<T> = { value: T } | { error: unknown };

class Callee {
  /** What `policy` was made of: the same objects make the same policy. */
  declared: CallPolicy | undefined;
  change: CallPolicyChange | undefined;
  readonly budget: RetryBudget;
  retried: number;
  readonly #refused: { open: number; full: number };
  readonly #breaker: CircuitBreakerPolicy;
  readonly #bulkhead: BulkheadPolicy;
  #openedAt = -Infinity;

  constructor(
    private readonly name: string,
    readonly policy: CallPolicy,
    private readonly isDown: (error: unknown) => boolean,
    before: Callee | undefined,
  ) {
    this.budget = before?.budget ?? new RetryBudget();
    this.retried = before?.retried ?? 0;
    this.#refused = before ? before.#refused : { open: 0, full: 0 };
    this.#bulkhead = bulkhead(policy.concurrency, policy.queue);
    this.#breaker = circuitBreaker(handleAll, {
      // How long it is open is kept here: the library goes by the time of day, and where that is set back an hour it
      // would refuse for an hour.
      halfOpenAfter: -Infinity,
      breaker: new CountBreaker({
        threshold: policy.failures,
        size: policy.calls,
        minimumNumberOfCalls: Math.ceil(policy.calls / 2),
      }),
    });
    this.#breaker.onBreak(() => (this.#openedAt = performance.now()));
  }

  keeps(policy: CallPolicy): boolean {
    return Object.entries(policy).every(([key, value]) => this.policy[key as keyof CallPolicy] === value);
  }

  isFull(share = 1): boolean {
    return this.#bulkhead.executionSlots <= 0 && this.#waiting >= this.policy.queue * share;
  }

  get #waiting(): number {
    return this.policy.queue - this.#bulkhead.queueSlots;
  }

  async attempt<T>(attempt: () => Promise<T>): Promise<T> {
    this.#mustBeClosed();
    if (this.isFull()) {
      this.#refused.full++;
      throw new CallRefused(this.name, 'full');
    }
    const judged = async (): Promise<Outcome<T>> => {
      try {
        return { value: await attempt() };
      } catch (error) {
        if (this.isDown(error)) throw error;
        return { error };
      }
    };
    // Outside the breaker: a call that waited for a place finds what others learnt meanwhile.
    const outcome = await this.#bulkhead.execute(() => {
      this.#mustBeClosed();
      return this.#breaker.execute(judged);
    });
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  /** While one call tries whether the callee is back, the others do not wait for it. @throws CallRefused */
  #mustBeClosed(): void {
    const { state } = this.#breaker;
    if (state === CircuitState.Closed) return;
    if (state === CircuitState.Open && performance.now() - this.#openedAt >= this.policy.openFor) return;
    this.#refused.open++;
    throw new CallRefused(this.name, 'open');
  }

  get state(): CalleeState {
    const { state } = this.#breaker;
    return {
      callee: this.name,
      circuit:
        state === CircuitState.Closed ? 'closed' : state === CircuitState.HalfOpen ? 'half-open' : 'open',
      underWay: this.policy.concurrency - this.#bulkhead.executionSlots,
      waiting: this.#waiting,
      refused: { ...this.#refused },
      retried: this.retried,
    };
  }
}
