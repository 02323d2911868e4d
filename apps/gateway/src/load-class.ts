import type { Route } from './routes.ts';

/**
 * Limits per load class: share of the requests in flight (`share`), share of the queue for one service (`queue`), and
 * multiple of the allowed event-loop delay (`delay`). Low classes are rejected first. They get short queues, because under
 * overload a long queue adds only latency and memory.
 */
export const loadClasses = {
  low: { share: 0.6, queue: 0.125, delay: 1 },
  normal: { share: 0.8, queue: 0.25, delay: 2 },
  high: { share: 1, queue: 1, delay: 4 },
  /** Never shed for event-loop delay, so that operators can end an overload. */
  operator: { share: 1, queue: 1, delay: Infinity },
} as const;
export type LoadClass = keyof typeof loadClasses;

/** The priority that the contract declares. Requests of operators have a class of their own, before all others. */
export function getLoadClass({ access, contract }: Pick<Route, 'access' | 'contract'>): LoadClass {
  return access === 'operator' ? 'operator' : (contract.priority ?? 'normal');
}
