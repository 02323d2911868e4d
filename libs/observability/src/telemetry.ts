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
  /** Spans that were not exported since the start: the collector did not answer, or there were too many at a time. */
  readonly lost: number;
  /** Exports what has ended, and stops. Waits for a few seconds at most. Never throws. */
  close(): Promise<void>;
}

/** Spans that wait for their export; further ones are dropped, so that a missing collector costs no memory. */
const maxWaiting = 4_096;
const maxBatch = 512;
/** A collector that does not answer must not keep an instance from ending. */
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
  const counted = new CountingExporter(exporter);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.version': version,
      'service.instance.id': instance,
    }),
    spanLimits: { attributeValueLengthLimit: maxValueLength },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: counted,
        maxQueueSize: maxWaiting,
        maxExportBatchSize: maxBatch,
        scheduledDelayMillis: exportEvery,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  return {
    spans: new SpanRecorder(provider.getTracer('jogakbo', version)),
    get lost() {
      return counted.lost;
    },
    close: () => provider.shutdown().catch(() => undefined),
  };
}

interface Exporter<S> {
  export(spans: S[], callback: (result: { code: number; error?: Error }) => void): void;
  forceFlush?(): Promise<void>;
  shutdown(): Promise<void>;
}

/** Counts the spans of failed exports. */
class CountingExporter<S> implements Exporter<S> {
  lost = 0;
  readonly #exporter: Exporter<S>;

  constructor(exporter: Exporter<S>) {
    this.#exporter = exporter;
  }

  export(spans: S[], callback: (result: { code: number; error?: Error }) => void): void {
    this.#exporter.export(spans, (result) => {
      if (result.code !== 0) this.lost += spans.length;
      callback(result);
    });
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush?.() ?? Promise.resolve();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}
