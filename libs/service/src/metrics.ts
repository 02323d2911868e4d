import { Controller, Get, Header, Inject, Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DataSource } from 'typeorm';

/** The metrics of one instance, in Prometheus' format. Inject it to add your own to `registry`. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();
  readonly #handled = new Histogram({
    name: 'messages_handled_seconds',
    help: 'Time from the arrival of a message to its settlement.',
    labelNames: ['message', 'outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  readonly #unauthorized = new Counter({
    name: 'unauthorized_messages_total',
    help: 'Messages rejected because their sender is not authorized.',
    labelNames: ['kind'],
    registers: [this.registry],
  });

  constructor(service: string, version: string) {
    this.registry.setDefaultLabels({ service, version });
    // Milliseconds between samples of the event loop's delay. The default wakes every service a hundred times a second,
    // even when idle.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    // These are sums of other gauges, but have names of counters, which promtool rejects.
    for (const name of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`nodejs_active_${name}_total`);
  }

  readonly observeMessage = (handled: { name: string; outcome: string; seconds: number }): void => {
    this.#handled.observe({ message: handled.name, outcome: handled.outcome }, handled.seconds);
  };

  readonly countUnauthorizedSender = (kind: string): void => this.#unauthorized.inc({ kind });

  /** Shows how many messages wait in the outbox, counted at each scrape. */
  watchOutbox(dataSource: DataSource): void {
    new Gauge({
      name: 'outbox_open_messages',
      help: 'Committed messages that are not published yet, without future timers.',
      registers: [this.registry],
      async collect() {
        const [row] = (await dataSource
          .query('SELECT count(*)::int AS open FROM outbox WHERE published_at IS NULL AND due_at IS NULL')
          .catch(() => [])) as { open: number }[];
        if (row) this.set(row.open);
        else this.remove();
      },
    });
  }
}

@Controller()
export class MetricsController {
  constructor(@Inject(Metrics) private readonly metrics: Metrics) {}

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  show(): Promise<string> {
    return this.metrics.registry.metrics();
  }
}
