import type { HandledMessage } from '@jogakbo/messaging';
import { Controller, Get, Header, Inject, Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DataSource } from 'typeorm';

// One for the process: in dense mode each main.js contains its own copy of this library.
const key = Symbol.for('jogakbo.process-metrics');
const shared = globalThis as { [key]?: Registry };

/** The metrics of the process, collected once, however many instances it runs. Without labels of an instance. */
function getProcessMetrics(): Registry {
  const known = shared[key];
  if (known) return known;
  const register = (shared[key] = new Registry());
  // Milliseconds between samples of the event loop's delay. The default wakes every service a hundred times a second,
  // even when idle.
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 100 });
  // These are sums of other gauges, but have names of counters, which promtool rejects.
  for (const name of ['handles', 'requests', 'resources'])
    register.removeSingleMetric(`nodejs_active_${name}_total`);
  return register;
}

/** The metrics of one instance, in Prometheus' format. Inject it to add your own to `registry`. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();
  readonly #handled = new Histogram({
    name: 'messages_handled_seconds',
    help: 'Time from the arrival of a message to its settlement.',
    labelNames: ['message', 'kind', 'outcome'],
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
    // The registry of an instance adds its labels when it is read.
    const ofProcess = getProcessMetrics();
    for (const { name } of ofProcess.getMetricsAsArray())
      this.registry.registerMetric(ofProcess.getSingleMetric(name)!);
  }

  readonly observeMessage = ({ name, kind, outcome, seconds }: HandledMessage): void => {
    this.#handled.observe({ message: name, kind: kind ?? 'unknown', outcome }, seconds);
  };

  readonly countUnauthorizedSender = (kind: string): void => this.#unauthorized.inc({ kind });

  /** Shows how many spans the collector did not get. */
  watchTelemetry(telemetry: { readonly lost: number }): void {
    new Gauge({
      name: 'telemetry_spans_lost',
      help: 'Spans that could not be exported since the start.',
      registers: [this.registry],
      collect() {
        this.set(telemetry.lost);
      },
    });
  }

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
