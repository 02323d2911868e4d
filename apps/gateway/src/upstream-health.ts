/** Consecutive failures until an instance is ejected, and the ejection time in milliseconds, doubled each time. */
const failureThreshold = 5;
const firstEjectionMs = 1_000;
const maxEjectionMs = 60_000;

/** How a request to an instance ended. */
export type Outcome =
  'answered' | 'error' | 'failed' | 'unreached' | 'denied' | 'late' | 'too-large' | 'overloaded' | 'given-up';
/** Outcomes that depend on the request, not on the health of the instance. */
const neutral = new Set<Outcome>(['error', 'too-large', 'overloaded', 'given-up']);

/** Passive health check of an instance. */
export interface UpstreamHealth {
  service: string;
  outstanding: number;
  /** Consecutive failures and ejections. */
  failures: number;
  ejections: number;
  ejectedUntil: number;
}

/** After an ejection, one failure ejects the instance again until a request succeeds. */
export function recordOutcome(health: UpstreamHealth, outcome: Outcome): void {
  if (outcome === 'answered') Object.assign(health, { failures: 0, ejections: 0, ejectedUntil: 0 });
  // Ignores requests that were in flight at the ejection.
  else if (neutral.has(outcome) || health.ejectedUntil > performance.now()) return;
  else if (++health.failures >= failureThreshold) {
    const time = Math.min(firstEjectionMs * 2 ** health.ejections, maxEjectionMs);
    health.ejections += 1;
    health.ejectedUntil = performance.now() + time;
  }
}
