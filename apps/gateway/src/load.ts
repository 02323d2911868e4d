import { RemoteFault } from '@jogakbo/messaging';
import { GuardedCalls, Metrics } from '@jogakbo/service';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import type { RequestContext } from './request-context.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

/**
 * How much of what there is each kind of request may fill: of the requests in flight, of those that wait for the same
 * service (both as a share), and of the event loop's delay (as a multiple). Browsing is refused first, what members buy
 * last. A short queue is as good as a long one where more comes than can be answered, and what waits in a long one costs
 * memory and patience: that is kept for those who would lose more than a moment.
 */
const priorities = {
  browsing: { share: 0.6, queue: 0.125, patience: 1 },
  reading: { share: 0.8, queue: 0.25, patience: 2 },
  buying: { share: 1, queue: 1, patience: 4 },
  /** However busy it is here, an operator can end what makes it so. */
  operating: { share: 1, queue: 1, patience: Infinity },
} as const;
export type Priority = keyof typeof priorities;

/** How often the delay of the event loop is looked at (milliseconds), and how much the latest look weighs. */
const lookEvery = 100;
const weight = 0.3;
/** A single look counts for no more: a process that was stopped for a minute is not overloaded when it goes on. */
const longestDelay = 1_000;

/** Public reads are browsing; commands of members are buying; all of operators is operating; the rest is reading. */
export function getPriority({ access, contract }: Pick<Route, 'access' | 'contract'>): Priority {
  if (access === 'operator') return 'operating';
  if (access === 'public') return contract.kind === 'query' ? 'browsing' : 'reading';
  return contract.kind === 'command' ? 'buying' : 'reading';
}

/** Keeps the gateway from taking more than it can answer in time: what is too much is refused at once. */
@Injectable()
export class Load implements OnApplicationShutdown {
  #inFlight = 0;
  #delay = 0;
  #lookedAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #shed: Counter;

  constructor(
    private readonly settings: GatewaySettings,
    private readonly calls: GuardedCalls,
    metrics: Metrics,
  ) {
    this.#timer = setInterval(() => this.#look(), lookEvery).unref();
    this.#shed = new Counter({
      name: 'http_requests_shed_total',
      help: 'Requests that were refused because there were too many of them.',
      labelNames: ['priority'],
      registers: [metrics.registry],
    });
    const inFlight = () => this.#inFlight;
    new Gauge({
      name: 'http_requests_in_flight',
      help: 'Requests that were let in and are not answered yet.',
      registers: [metrics.registry],
      collect() {
        this.set(inFlight());
      },
    });
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Lets a request in until its answer is sent, or its client gone. What the service could not take any more is refused
   * here as well: when there is too much to do, a "no" must cost less than what it saves.
   * @param asks whether it is certain that the service is asked
   * @returns whether it is let in
   */
  admits(route: Route, asks: boolean, context: RequestContext): boolean {
    const priority = getPriority(route);
    const { share, patience } = priorities[priority];
    const { maxInFlight, maxLoopDelay } = this.settings;
    const isTooMuch =
      this.#inFlight >= maxInFlight * share ||
      this.#delay > maxLoopDelay * patience ||
      (asks && !this.#hasRoom(route));
    if (isTooMuch) {
      this.#shed.inc({ priority });
      return false;
    }
    this.#inFlight += 1;
    context.whenOver(() => (this.#inFlight -= 1));
    return true;
  }

  /** For what was let in before it was known that its service is asked. @throws RemoteFault `overloaded` */
  mustHaveRoom(route: Route): void {
    if (this.#hasRoom(route)) return;
    this.#shed.inc({ priority: getPriority(route) });
    throw new RemoteFault('overloaded', `too many wait for ${route.service}`);
  }

  #hasRoom(route: Route): boolean {
    return !this.calls.isFull(route.service, priorities[getPriority(route)].queue);
  }

  #look(): void {
    const now = performance.now();
    const delay = Math.min(Math.max(now - this.#lookedAt - lookEvery, 0), longestDelay);
    this.#delay += weight * (delay - this.#delay);
    this.#lookedAt = now;
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}
