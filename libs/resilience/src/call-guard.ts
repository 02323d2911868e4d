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
  /** The service that is called. */
  callee: string;
  policy: CallPolicy;
  /** True if the call can be repeated safely. */
  safe: boolean;
  /** Unix time in milliseconds after which the caller no longer waits. */
  deadline: number;
}

/** A call that was not made: the circuit of the callee is `open`, or too many calls are in progress (`full`). */
export class CallRejected extends Error {
  override readonly name = 'CallRefused';
  constructor(
    readonly callee: string,
    readonly reason: 'open' | 'full',
  ) {
    super(
      reason === 'open'
        ? `the circuit of ${callee} is open after too many failed calls: try again later`
        : `too many calls to ${callee} are in progress: try again later`,
    );
  }
}

export interface CallGuardOptions {
  /** Whether an error means that the callee is down. Rejections and faults of a single handler do not. */
  isDown(error: unknown): boolean;
  /** Whether a retry can succeed. */
  canRetry(error: unknown): boolean;
  /** Converts the error of a call that was not made. */
  refuse?(refused: CallRejected): Error;
  /** Overrides of the declared policy, read at each call. */
  override?(callee: string): CallPolicyChange | undefined;
}

/** The state of one callee in this instance. `refused` and `retried` count from the start of the process. */
export interface CalleeState {
  callee: string;
  circuit: 'closed' | 'half-open' | 'open';
  underWay: number;
  waiting: number;
  refused: { open: number; full: number };
  retried: number;
}

/**
 * Protects a caller from failing callees. For each callee:
 *
 * - a bulkhead: limits the calls in progress and the calls that wait for a slot;
 * - a circuit breaker: if more than a share of the last calls found the callee down, all calls are rejected at once; after
 *   a while a single call probes the callee;
 * - retries, only of calls that can be repeated safely, within the deadline and a budget of a tenth of the calls.
 *
 * Each instance has its own state: a callee can be reachable from one instance and not from another.
 */
export class CallGuard {
  readonly #callees = new Map<string, Callee>();

  constructor(private readonly options: CallGuardOptions) {}

  /**
   * Makes a call.
   * @param attempt runs once, or several times if the call is safe
   * @throws CallRefused (or the error from `refuse`) if it was not made; otherwise the error of the last attempt
   */
  readonly run = async <T>(call: Call, attempt: () => Promise<T>): Promise<T> => {
    const callee = this.#getCallee(call.callee, call.policy, this.options.override?.(call.callee));
    const { policy } = callee;
    callee.budget.earn();
    let backoff: IBackoff<unknown> | undefined;
    for (let retriesLeft = call.safe ? policy.retries : 0; ; retriesLeft--) {
      try {
        return await callee.attempt(attempt);
      } catch (error) {
        if (error instanceof CallRejected) throw this.options.refuse?.(error) ?? error;
        backoff = (backoff ?? retryBackoff).next(undefined);
        const inTime = Date.now() + backoff.duration < call.deadline;
        const canRetry = retriesLeft > 0 && inTime && this.options.canRetry(error) && callee.budget.spend();
        if (!canRetry) throw error;
      }
      callee.retried++;
      await sleep(backoff.duration);
    }
  };

  /**
   * Whether the queue of a callee is full.
   * @param share of the queue, from 0 to 1, that counts as full; with 1, a call would be rejected
   */
  isFull(callee: string, share = 1): boolean {
    return this.#callees.get(callee)?.isFull(share) ?? false;
  }

  /** The states of all callees since the start. */
  get states(): CalleeState[] {
    return [...this.#callees.values()].map((callee) => callee.state);
  }

  /** A changed policy starts with a closed circuit. */
  #getCallee(name: string, declared: CallPolicy, change: CallPolicyChange | undefined): Callee {
    const known = this.#callees.get(name);
    if (known?.declared === declared && known.change === change) return known;
    const policy = { ...declared, ...change } as CallPolicy;
    if (known?.hasPolicy(policy)) return Object.assign(known, { declared, change });
    const callee = Object.assign(new Callee(name, policy, this.options.isDown, known), { declared, change });
    this.#callees.set(name, callee);
    return callee;
  }
}

const retryBackoff = new ExponentialBackoff({
  initialDelay: 20,
  maxDelay: 500,
  generator: decorrelatedJitterGenerator,
});

/** The result of an attempt that the circuit breaker counts as a success. */
type Outcome<T> = { value: T } | { error: unknown };

class Callee {
  /** The sources of `policy`: the same objects give the same policy. */
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
    previous: Callee | undefined,
  ) {
    this.budget = previous?.budget ?? new RetryBudget();
    this.retried = previous?.retried ?? 0;
    this.#refused = previous ? previous.#refused : { open: 0, full: 0 };
    this.#bulkhead = bulkhead(policy.concurrency, policy.queue);
    this.#breaker = circuitBreaker(handleAll, {
      // The open period is measured here with a monotonic clock: the library uses the system clock. If that
      // clock is set back an hour, the library would reject calls for an hour.
      halfOpenAfter: -Infinity,
      breaker: new CountBreaker({
        threshold: policy.failures,
        size: policy.calls,
        minimumNumberOfCalls: Math.ceil(policy.calls / 2),
      }),
    });
    this.#breaker.onBreak(() => (this.#openedAt = performance.now()));
  }

  hasPolicy(policy: CallPolicy): boolean {
    return Object.entries(policy).every(([key, value]) => this.policy[key as keyof CallPolicy] === value);
  }

  isFull(share = 1): boolean {
    return this.#bulkhead.executionSlots <= 0 && this.#waiting >= this.policy.queue * share;
  }

  get #waiting(): number {
    return this.policy.queue - this.#bulkhead.queueSlots;
  }

  async attempt<T>(attempt: () => Promise<T>): Promise<T> {
    this.#assertClosed();
    if (this.isFull()) {
      this.#refused.full++;
      throw new CallRejected(this.name, 'full');
    }
    const attemptAndClassify = async (): Promise<Outcome<T>> => {
      try {
        return { value: await attempt() };
      } catch (error) {
        if (this.isDown(error)) throw error;
        return { error };
      }
    };
    // The bulkhead is outside of the breaker: a call that waited for a slot checks the circuit again.
    const outcome = await this.#bulkhead.execute(() => {
      this.#assertClosed();
      return this.#breaker.execute(attemptAndClassify);
    });
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  /** While one call probes the callee, other calls are rejected instead of waiting. @throws CallRefused */
  #assertClosed(): void {
    const { state } = this.#breaker;
    if (state === CircuitState.Closed) return;
    if (state === CircuitState.Open && performance.now() - this.#openedAt >= this.policy.openFor) return;
    this.#refused.open++;
    throw new CallRejected(this.name, 'open');
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
