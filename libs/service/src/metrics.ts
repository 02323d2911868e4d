import { Controller, Get, Header, Inject, Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DataSource } from 'typeorm';

/** The numbers of one instance, in the form that Prometheus reads. Inject it to add your own to `registry`. */
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

  readonly #strangers = new Counter({
    name: 'messages_of_strangers_total',
    help: 'Messages refused because they did not come from the one who may send them.',
    labelNames: ['kind'],
    registers: [this.registry],
  });

  constructor(service: string, version: string) {
    this.registry.setDefaultLabels({ service, version });
    // How late the event loop is gets sampled this often (milliseconds). By default every service wakes a hundred times a
    // second for it, at rest too.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    // Sums of the gauges beside them, named like counters, which promtool refuses.
    for (const name of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`nodejs_active_${name}_total`);
  }

  readonly observeMessage = (handled: { name: string; outcome: string; seconds: number }): void => {
    this.#handled.observe({ message: handled.name, outcome: handled.outcome }, handled.seconds);
  };

  readonly countStranger = (kind: string): void => this.#strangers.inc({ kind });

  /** Shows how many messages wait in the outbox, counted when asked. */
  watchOutbox(dataSource: DataSource): void {
    new Gauge({
      name: 'outbox_open_messages',
      help: 'Messages committed and not yet with the broker, timers not due left out.',
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
