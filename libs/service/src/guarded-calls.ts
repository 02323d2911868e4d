import { BrokerDisconnected, RemoteFault, type Guard } from '@jogakbo/messaging';
import { CallGuard, type CalleeState } from '@jogakbo/resilience';
import { Gauge } from 'prom-client';
import type { Metrics } from './metrics.ts';
import type { PlatformSettings } from './settings.ts';

/**
 * Nobody took the call, or nobody answered it. Who answers is there: a fault of one handler is no reason to leave a
 * service alone (who found it could shut out everybody), nor is one of those that stand behind it, who would else be
 * tried again by every caller on the way.
 */
const isSilent = (error: unknown, codes: string[]): boolean =>
  error instanceof RemoteFault && !error.answered && codes.includes(error.code);

/** All calls of a service, guarded by the policies of its callees, and how they are doing on /metrics. */
export class GuardedCalls {
  readonly #calls: CallGuard;
  /** What `RabbitClient` takes. */
  readonly guard: Guard;
  /** See `CallGuard`. */
  readonly isFull: CallGuard['isFull'];

  /** @param settings `callPolicies` goes before what the callees declare, and may change at any time */
  constructor(settings: Pick<PlatformSettings, 'callPolicies'>, metrics: Metrics) {
    this.#calls = new CallGuard({
      isDown: (error) =>
        isSilent(error, ['timeout', 'unavailable']) && !(error instanceof BrokerDisconnected),
      mayHelp: (error) => isSilent(error, ['unavailable']),
      override: (callee) => settings.callPolicies[callee],
      refuse: ({ reason, message }) =>
        new RemoteFault(reason === 'open' ? 'unavailable' : 'overloaded', message),
    });
    this.guard = this.#calls.run;
    this.isFull = this.#calls.isFull.bind(this.#calls);
    show(this.#calls, metrics);
  }

  /** The callees that are left alone now. */
  get leftAlone(): string[] {
    return this.#calls.states.filter(({ circuit }) => circuit !== 'closed').map(({ callee }) => callee);
  }
}

const circuits = { closed: 0, 'half-open': 1, open: 2 } as const;

function show(calls: CallGuard, { registry }: Metrics): void {
  const gauge = (name: string, help: string, valuesOf: (state: CalleeState) => Record<string, number>) => {
    new Gauge({
      ...{ name, help, labelNames: ['callee', 'kind'], registers: [registry] },
      collect() {
        for (const state of calls.states) {
          for (const [kind, value] of Object.entries(valuesOf(state)))
            this.set({ callee: state.callee, kind }, value);
        }
      },
    });
  };
  gauge('calls_circuit', '0: closed, 1: one call tries, 2: open, the callee is left alone.', (state) => ({
    state: circuits[state.circuit],
  }));
  gauge('calls_open', 'Calls under way, and those that wait for a place.', ({ underWay, waiting }) => ({
    'under-way': underWay,
    waiting,
  }));
  gauge('calls_not_made', 'Calls refused since the start: circuit open, or too many others.', (state) => ({
    ...state.refused,
  }));
  gauge('calls_retried', 'Further attempts since the start.', ({ retried }) => ({ attempts: retried }));
}
