/** An instance that fails so often in a row is left out, at first for so long, and each time twice as long (milliseconds). */
const failuresInARow = 5;
const leftOutAtFirst = 1_000;
const leftOutAtMost = 60_000;

/** How a request to an instance ended. */
export type Outcome =
  'answered' | 'error' | 'failed' | 'unreached' | 'denied' | 'late' | 'too-large' | 'overloaded' | 'given-up';
/** These say nothing of how the instance does: what is asked decides about them. */
const neutral = new Set<Outcome>(['error', 'too-large', 'overloaded', 'given-up']);

/** How this gateway gets on with an instance. */
export interface UpstreamHealth {
  service: string;
  outstanding: number;
  /** In a row. */
  failures: number;
  timesLeftOut: number;
  leftOutUntil: number;
}

/** One more failure leaves an instance out again that comes back, until it succeeds once. */
export function judge(standing: UpstreamHealth, outcome: Outcome): void {
  if (outcome === 'answered') Object.assign(standing, { failures: 0, timesLeftOut: 0, leftOutUntil: 0 });
  // What was under way when an instance was left out says nothing new.
  else if (neutral.has(outcome) || standing.leftOutUntil > performance.now()) return;
  else if (++standing.failures >= failuresInARow) {
    const time = Math.min(leftOutAtFirst * 2 ** standing.timesLeftOut, leftOutAtMost);
    standing.timesLeftOut += 1;
    standing.leftOutUntil = performance.now() + time;
  }
}
