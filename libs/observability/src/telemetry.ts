import type { BatchSpanProcessor, ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';
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
  /** Milliseconds between exports. A full batch is sent at once. */
  exportEvery?: number;
}

/** The telemetry of one instance. */
export interface Telemetry {
  readonly spans: SpanRecorder;
  /** Spans that were not exported since the start: the collector refused them or did not answer, or too many were waiting. */
  readonly lost: number;
  /** Exports what has ended, and stops. Waits for a few seconds at most. Never throws. */
  close(): Promise<void>;
}

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0];

/** Spans that wait for their export; further ones are dropped, so that a missing collector costs no memory. */
const maxWaiting = 4_096;
const maxBatch = 512;
/** A collector that does not answer must not keep an instance from ending: all batches end at the same time. */
const exportTimeoutMs = 3_000;
/** Longer values are cut: statements and ids are shorter. */
const maxValueLength = 2_000;

/**
 * Exports spans with OpenTelemetry's SDK, which is loaded only here: services without a collector do not need its memory.
 * A collector that is missing or slow loses spans and nothing else.
 */
export async function openTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const [{ BatchSpanProcessor, TracerProvider }, { OTLPTraceExporter }, { resourceFromAttributes }] =
    await Promise.all([
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-proto'),
      import('@opentelemetry/resources'),
    ]);
  const { service, version, instance, endpoint, headers = {}, exportEvery = 1_000 } = options;
  const exporter = new OTLPTraceExporter({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers,
    timeoutMillis: exportTimeoutMs,
  });
  const queue = new BoundedQueue(exporter, exportEvery, BatchSpanProcessor);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instance,
    }),
    spanLimits: { attributeValueLengthLimit: maxValueLength },
    spanProcessors: [queue],
  });
  return {
    spans: new SpanRecorder(provider.getTracer('jogakbo', version)),
    get lost() {
      return queue.lost;
    },
    close: () => provider.shutdown().catch(() => undefined),
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
