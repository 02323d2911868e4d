import { RemoteFault } from '@jogakbo/messaging';
import { GuardedCalls, Metrics } from '@jogakbo/service';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import type { RequestContext } from './request-context.ts';
import { getLoadClass, loadClasses } from './load-class.ts';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

/** Milliseconds between samples of the event-loop delay, and the weight of the latest one (moving average). */
const sampleIntervalMs = 100;
const sampleWeight = 0.3;
/** Maximum of one sample, in milliseconds: a process that was suspended is not overloaded when it resumes. */
const maxSampleMs = 1_000;

/** Load shedding: rejects at once the requests that the gateway could not answer in time. */
@Injectable()
export class Load implements OnApplicationShutdown {
  #inFlight = 0;
  #delay = 0;
  #sampledAt = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #shed: Counter;

  constructor(
    private readonly settings: GatewaySettings,
    private readonly calls: GuardedCalls,
    metrics: Metrics,
  ) {
    this.#timer = setInterval(() => this.#sample(), sampleIntervalMs).unref();
    this.#shed = new Counter({
      name: 'http_requests_shed_total',
      help: 'Requests that were rejected because of overload.',
      labelNames: ['priority'],
      registers: [metrics.registry],
    });
    const inFlight = () => this.#inFlight;
    new Gauge({
      name: 'http_requests_in_flight',
      help: 'Requests that were admitted and are not answered yet.',
      registers: [metrics.registry],
      collect() {
        this.set(inFlight());
      },
    });
  }

  /**
   * Admits a request until its response is sent or its client is gone. Also rejects early if the queue for the service is
   * full, because rejections must be cheap under overload.
   * @param callsService whether it is certain that the service is called
   * @returns whether it is admitted
   */
  tryAdmit(route: Route, callsService: boolean, context: RequestContext): boolean {
    const loadClass = getLoadClass(route);
    const { share, delay } = loadClasses[loadClass];
    const { maxInFlight, maxLoopDelay } = this.settings;
    const isOverloaded =
      this.#inFlight >= maxInFlight * share ||
      this.#delay > maxLoopDelay * delay ||
      (callsService && !this.#hasCapacity(route));
    if (isOverloaded) {
      this.#shed.inc({ priority: loadClass });
      return false;
    }
    this.#inFlight += 1;
    context.onClose(() => (this.#inFlight -= 1));
    return true;
  }

  /** For requests admitted before it was known that the service is called. @throws RemoteFault `overloaded` */
  mustHaveCapacity(route: Route): void {
    if (this.#hasCapacity(route)) return;
    this.#shed.inc({ priority: getLoadClass(route) });
    throw new RemoteFault('overloaded', `too many requests wait for ${route.service}`);
  }

  #hasCapacity(route: Route): boolean {
    return !this.calls.isFull(route.service, loadClasses[getLoadClass(route)].queue);
  }

  #sample(): void {
    const now = performance.now();
    const delay = Math.min(Math.max(now - this.#sampledAt - sampleIntervalMs, 0), maxSampleMs);
    this.#delay += sampleWeight * (delay - this.#delay);
    this.#sampledAt = now;
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}
