import type { Telemetry } from '@jogakbo/observability';
import { currentCall, getTraceId, type HandledMessage } from '@jogakbo/messaging';
import { Controller, Get, Headers, Inject, Injectable, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import Negotiator from 'negotiator';
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Histogram,
  type Metric,
  type OpenMetricsContentType,
  Registry,
  type RegistryContentType,
} from 'prom-client';
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
  measureSeldom(register.getSingleMetric('nodejs_eventloop_lag_seconds') as Gauge);
  return register;
}

/** Milliseconds of one measurement of the event loop. Shorter than the usual intervals of those who read it. */
const lagIntervalMs = 9_000;

/**
 * Each reading of the event loop's delay begins a new measurement. Several readers of one process, such as Prometheus and the
 * exporters of several instances, must not take away each other's samples: they get the same values for some seconds.
 */
function measureSeldom(lag: Gauge): void {
  const metric = lag as unknown as { collect(): unknown };
  const { collect } = metric;
  // A measurement without samples has no meaning.
  let measuredAt = performance.now();
  metric.collect = function (this: unknown) {
    if (performance.now() - measuredAt < lagIntervalMs) return undefined;
    measuredAt = performance.now();
    return collect.call(this);
  };
}

/** Exemplars need a registry of OpenMetrics. */
function createRegistry(): Registry<OpenMetricsContentType> {
  const registry = new Registry<OpenMetricsContentType>();
  registry.setContentType(formats.openmetrics);
  return registry;
}

/** The labels of an exemplar: the trace in which a value was measured. */
export const toExemplarLabels = (traceId: string | undefined): Record<string, string> =>
  traceId ? { trace_id: traceId } : {};

const formats = {
  prometheus: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
};

/** The metrics of one instance. Inject it to add your own to `registry`. */
@Injectable()
export class Metrics {
  readonly registry = createRegistry();
  readonly #handled = new Histogram({
    name: 'messages_handled_seconds',
    help: 'Time from the arrival of a message to its settlement.',
    labelNames: ['message', 'kind', 'outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
    enableExemplars: true,
  });

  readonly #unauthorized = new Counter({
    name: 'unauthorized_messages_total',
    help: 'Messages rejected because their sender is not authorized.',
    labelNames: ['kind'],
    registers: [this.registry],
  });

  readonly #labels: Record<string, string>;

  constructor(service: string, version: string) {
    this.#labels = { service, version };
    this.registry.setDefaultLabels(this.#labels);
    // The registry of an instance adds its labels when it is read.
    const shared = getProcessMetrics();
    for (const { name } of shared.getMetricsAsArray())
      this.registry.registerMetric(shared.getSingleMetric(name)!);
  }

  readonly observeMessage = ({ name, kind, outcome, seconds }: HandledMessage): void => {
    this.#handled.observe({
      labels: { message: name, kind: kind ?? 'unknown', outcome },
      value: seconds,
      exemplarLabels: toExemplarLabels(getTraceId(currentCall()?.traceparent)),
    });
  };

  readonly countUnauthorizedSender = (kind: string): void => this.#unauthorized.inc({ kind });

  /** Exports all metrics, and shows how much was not exported. */
  exportTo(telemetry: Telemetry): void {
    new Gauge({
      name: 'telemetry_lost',
      help: 'Spans, log lines and exports of metrics that were not exported since the start.',
      labelNames: ['signal'],
      registers: [this.registry],
      collect() {
        for (const [signal, count] of Object.entries(telemetry.lost)) this.set({ signal }, count);
      },
    });
    // Not `getMetricsAsJSON`, which adds the labels of this instance to the metrics that all instances of the process share.
    telemetry.exportMetrics(() => Promise.all(this.#list().map((one) => one.get())));
  }

  /** Shows how many messages wait in the queues, read from the broker at each scrape. */
  watchQueues(server: { measureQueues(): Promise<{ queue: string; messages: number }[]> }): void {
    new Gauge({
      name: 'queue_messages',
      help: 'Messages that wait in a queue which this instance consumes.',
      labelNames: ['queue'],
      registers: [this.registry],
      async collect() {
        this.reset();
        for (const { queue, messages } of await server.measureQueues()) this.set({ queue }, messages);
      },
    });
  }

  /** Shows what waits in the database, counted at each scrape. */
  watchDatabase(dataSource: DataSource): void {
    const read = async (statement: string): Promise<Record<string, string | number>[]> =>
      dataSource.isInitialized ? dataSource.query(statement).catch(() => []) : [];
    const registers = [this.registry];
    /** Both gauges show the same reading. */
    let reading: ReturnType<typeof read> | undefined;
    const readOutbox = () =>
      (reading ??= read(
        `SELECT count(*)::int AS open, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS age
         FROM outbox WHERE published_at IS NULL AND due_at IS NULL`,
      ).finally(() => (reading = undefined)));
    /** Without a value while the database is not reachable: 0 would say that all is well. */
    async function show(this: Gauge, column: string): Promise<void> {
      const [row] = await readOutbox();
      if (row) this.set(Math.max(0, Number(row[column])));
      else this.remove();
    }
    new Gauge({
      name: 'outbox_open_messages',
      help: 'Committed messages that are not published yet, without future timers.',
      registers,
      collect() {
        return show.call(this, 'open');
      },
    });
    new Gauge({
      name: 'outbox_oldest_message_seconds',
      help: 'Age of the oldest committed message that is not published yet, without future timers.',
      registers,
      collect() {
        return show.call(this, 'age');
      },
    });
    new Gauge({
      name: 'saga_open_instances',
      help: 'Sagas that have not ended.',
      labelNames: ['saga'],
      registers,
      async collect() {
        this.reset();
        const rows = await read(
          'SELECT name, count(*)::int AS open FROM saga WHERE ended_at IS NULL GROUP BY name',
        );
        for (const { name, open } of rows) this.set({ saga: String(name) }, Number(open));
      },
    });
    new Gauge({
      name: 'database_connections',
      help: 'Connections of the pool; `waiting` counts the statements that wait for one.',
      labelNames: ['state'],
      registers,
      collect() {
        const { totalCount, idleCount, waitingCount } = getPool(dataSource);
        this.set({ state: 'busy' }, totalCount - idleCount);
        this.set({ state: 'idle' }, idleCount);
        this.set({ state: 'waiting' }, waitingCount);
      },
    });
  }

  /** In the text format of Prometheus, or in OpenMetrics, which has exemplars too. */
  render(format: keyof typeof formats): Promise<string> {
    // `registry.metrics()` would rename its counters for good: other formats need their suffix.
    const copy = new Registry<RegistryContentType>();
    copy.setContentType(formats[format]);
    copy.setDefaultLabels(this.#labels);
    for (const metric of this.#list())
      copy.registerMetric(format === 'openmetrics' ? withoutSuffix(metric) : metric);
    return copy.metrics();
  }

  /** The types of prom-client have only the descriptions. */
  #list(): Metric[] {
    return this.registry.getMetricsAsArray() as unknown as Metric[];
  }
}

const withoutSuffix = (metric: Metric): Metric =>
  ({
    name: (metric as unknown as { name: string }).name,
    async get() {
      const data = await metric.get();
      return String(data.type) === 'counter' ? { ...data, name: data.name.replace(/_total$/, '') } : data;
    },
  }) as unknown as Metric;

const noConnections = { totalCount: 0, idleCount: 0, waitingCount: 0 };

/** The pool of pg, which TypeORM creates when it is initialized. */
const getPool = ({ driver }: DataSource): typeof noConnections =>
  (driver as unknown as { master?: typeof noConnections }).master ?? noConnections;

@Controller()
export class MetricsController {
  constructor(@Inject(Metrics) private readonly metrics: Metrics) {}

  @Get('metrics')
  async show(@Headers('accept') accept: string | undefined, @Res() reply: FastifyReply): Promise<void> {
    const format = negotiateFormat(accept);
    await reply.header('content-type', formats[format]).send(await this.metrics.render(format));
  }
}

/** @returns Prometheus' text format for clients that have no preference */
function negotiateFormat(accept = '*/*'): keyof typeof formats {
  const offered = Object.values(formats).map((type) => type.replace(/; charset=.*/, ''));
  const [chosen] = new Negotiator({ headers: { accept } }).mediaTypes(offered);
  return chosen === offered[1] ? 'openmetrics' : 'prometheus';
}
