import { BrokerDisconnected, RemoteFault, type Guard } from '@jogakbo/messaging';
import { CallGuard, type CalleeState } from '@jogakbo/resilience';
import { Gauge } from 'prom-client';
import type { Metrics } from './metrics.ts';
import type { PlatformSettings } from './settings.ts';

/**
 * Whether the call was not taken or not answered. An error in an answer does not open the circuit: with one failing
 * handler a client could block the service for all. Neither does an error of a service behind the callee, which every
 * caller on the way would retry.
 */
const isUnanswered = (error: unknown, codes: string[]): boolean =>
  error instanceof RemoteFault && !error.answered && codes.includes(error.code);

/** Guards all calls of a service by the policies of its callees, and shows their state on /metrics. */
export class GuardedCalls {
  readonly #calls: CallGuard;
  /** For `RabbitClient`. */
  readonly guard: Guard;
  /** See `CallGuard`. */
  readonly isFull: CallGuard['isFull'];

  /** @param settings `callPolicies` overrides the policies that callees declare, and may change at any time */
  constructor(settings: Pick<PlatformSettings, 'callPolicies'>, metrics: Metrics) {
    this.#calls = new CallGuard({
      isDown: (error) =>
        isUnanswered(error, ['timeout', 'unavailable']) && !(error instanceof BrokerDisconnected),
      canRetry: (error) => isUnanswered(error, ['unavailable']),
      override: (callee) => settings.callPolicies[callee],
      refuse: ({ reason, message }) =>
        new RemoteFault(reason === 'open' ? 'unavailable' : 'overloaded', message),
    });
    this.guard = this.#calls.run;
    this.isFull = this.#calls.isFull.bind(this.#calls);
    registerGauges(this.#calls, metrics);
  }

  /** The callees with an open or half-open circuit. */
  get openCircuits(): string[] {
    return this.#calls.states.filter(({ circuit }) => circuit !== 'closed').map(({ callee }) => callee);
  }
}

const circuits = { closed: 0, 'half-open': 1, open: 2 } as const;

function registerGauges(calls: CallGuard, { registry }: Metrics): void {
  const gauge = (name: string, help: string, getValues: (state: CalleeState) => Record<string, number>) => {
    new Gauge({
      name,
      help,
      labelNames: ['callee', 'kind'],
      registers: [registry],
      collect() {
        for (const state of calls.states) {
          for (const [kind, value] of Object.entries(getValues(state)))
            this.set({ callee: state.callee, kind }, value);
        }
      },
    });
  };
  gauge('calls_circuit', 'State of the circuit breaker: 0 closed, 1 half-open, 2 open.', (state) => ({
    state: circuits[state.circuit],
  }));
  gauge('calls_open', 'Calls in progress, and calls waiting for a place.', ({ underWay, waiting }) => ({
    'under-way': underWay,
    waiting,
  }));
  gauge('calls_not_made', 'Calls rejected since the start: open circuit or too many calls.', (state) => ({
    ...state.refused,
  }));
  gauge('calls_retried', 'Retries since the start.', ({ retried }) => ({ attempts: retried }));
}
