import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchSpanProcessor, ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
import { LogExporter } from './log-exporter.ts';
import { MetricExporter, type MetricFamily } from './metric-exporter.ts';
import { OtlpSender, toWireAttributes } from './otlp-sender.ts';
import { SpanRecorder } from './span-recorder.ts';

export interface TelemetryOptions {
  service: string;
  version: string;
  /** Unique among all instances of all services. */
  instance: string;
  /** The base URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. */
  endpoint: string;
  /** Sent with each export, such as an authorization. */
  headers?: Record<string, string>;
  /** Milliseconds between exports of spans and logs. A full batch is sent at once. */
  exportEvery?: number;
  /** Milliseconds between exports of metrics. */
  exportMetricsEvery?: number;
}

/** What was not exported since the start: the collector refused it or did not answer, or too much was waiting. */
interface Lost {
  spans: number;
  /** Lines. */
  logs: number;
  /** Exports of all metrics, also of which only a part was accepted. */
  metrics: number;
}

/** The telemetry of one instance. */
export interface Telemetry {
  readonly spans: SpanRecorder;
  /** Exports the lines of a log, as pino writes them. */
  readonly logs: { write(line: string): void };
  readonly lost: Lost;
  /** Exports these metrics again and again, until it is closed. Called once. */
  exportMetrics(read: () => Promise<MetricFamily[]>): void;
  /** Exports what has ended, and stops. Waits for a few seconds at most. Never throws. */
  close(): Promise<void>;
}

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** Spans that wait for their export; further ones are dropped, so that a missing collector costs no memory. */
const maxWaiting = 4_096;
const maxBatch = 512;
/** A collector that does not answer must not keep an instance from ending: all batches end at the same time. */
const exportTimeoutMs = 3_000;
/** The export that runs already, and the last one. */
const closeTimeoutMs = exportTimeoutMs + 1_000;
/** Longer values are cut: statements and ids are shorter. */
const maxValueLength = 2_000;

/**
 * Exports traces, logs and metrics to a collector. One that is missing or slow loses telemetry and nothing else. The SDK of
 * OpenTelemetry is loaded only here: services without a collector do not need its memory. It exports the spans. Logs and
 * metrics are those of pino and prom-client, which it does not read.
 */
export async function openTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-proto'),
      import('@opentelemetry/resources'),
    ]);
  const { service, version, instance, endpoint, headers = {}, exportEvery = 1_000 } = options;
  const { exportMetricsEvery = 10_000 } = options;
  const names = { 'service.name': service, 'service.version': version, 'service.instance.id': instance };
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers,
    timeoutMillis: exportTimeoutMs,
  });
  const queue = new BoundedQueue(exporter, exportEvery, BatchSpanProcessor);
  const provider = new TracerProvider({
    resource: resourceFromAttributes(names),
    spanLimits: { attributeValueLengthLimit: maxValueLength },
    spanProcessors: [queue],
  });
  const sender = new OtlpSender(endpoint, headers, exportTimeoutMs);
  const resource = { attributes: toWireAttributes(names) };
  const logs = new LogExporter(sender, resource, exportEvery);
  let metrics: MetricExporter | undefined;
  return {
    spans: new SpanRecorder(provider.getTracer('jogakbo', version)),
    logs,
    get lost() {
      return { spans: queue.lost, logs: logs.lost, metrics: metrics?.lost ?? 0 };
    },
    exportMetrics(read) {
      metrics = new MetricExporter(sender, resource, read, exportMetricsEvery);
    },
    async close() {
      const last = [provider.shutdown(), logs.close(), metrics?.close()];
      await Promise.race([Promise.allSettled(last), sleep(closeTimeoutMs, undefined, { ref: false })]);
    },
  };
}

/** Hands ended spans to the SDK's batches, and counts those that do not arrive: the SDK drops them silently. */
class BoundedQueue implements SpanProcessor {
  lost = 0;
  #waiting = 0;
  readonly #batches: SpanProcessor;

  /** @param Batches that of the SDK, which is loaded when it is needed */
  constructor(exporter: SpanExporter, exportEvery: number, Batches: typeof BatchSpanProcessor) {
    this.#batches = new Batches({
      exporter: {
        export: (spans, done) => exporter.export(spans, (result) => done(this.#count(spans.length, result))),
        shutdown: () => exporter.shutdown(),
      },
      maxQueueSize: maxWaiting,
      maxExportBatchSize: maxBatch,
      scheduledDelayMillis: exportEvery,
      exportTimeoutMillis: exportTimeoutMs,
    });
  }

  #count(spans: number, result: ExportResult): ExportResult {
    this.#waiting -= spans;
    if (result.code !== 0) this.lost += spans;
    return result;
  }

  onStart(): void {
    // A span is of interest when it has ended.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= maxWaiting) {
      this.lost += 1;
      return;
    }
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }
}
