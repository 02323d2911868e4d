import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from '@opentelemetry/api';

/** A position in a trace: W3C Trace Context. The traceparent must be valid. */
export interface ParentTrace {
  traceparent: string;
  tracestate?: string;
}

type Attributes = Record<string, string | number | boolean | undefined>;

export interface StartedSpan {
  name: string;
  kind: 'server' | 'client' | 'producer' | 'consumer';
  attributes: Attributes;
}

/** A span under way. */
export interface RecordedSpan {
  /** The trace context of what this span causes. */
  readonly trace: ParentTrace;
  rename(name: string): void;
  /**
   * Ends it; later calls have no effect.
   * @param errorType undefined if the work succeeded
   */
  end(errorType?: string, attributes?: Attributes): void;
}

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/** W3C Trace Context, level 2: the trace id is random. */
const randomFlag = 0b10;

/**
 * Records spans with explicit parents. Nothing global: several instances in one process have one each.
 *
 * Every span is recorded, also if its parent is not sampled: clients decide about their own traces only.
 */
export class SpanRecorder {
  readonly #tracer: Tracer;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /**
   * @param parent undefined for the first span of a new trace
   * @param startTime milliseconds since 1970, for work that has begun before
   */
  start(
    { name, kind, attributes }: StartedSpan,
    parent: ParentTrace | undefined,
    startTime?: number,
  ): RecordedSpan {
    const options = { kind: kinds[kind], attributes, ...(startTime !== undefined && { startTime }) };
    return new OwnSpan(this.#tracer.startSpan(name, options, toContext(parent)), parent);
  }
}

class OwnSpan implements RecordedSpan {
  readonly trace: ParentTrace;
  readonly #span: Span;

  constructor(span: Span, parent: ParentTrace | undefined) {
    this.#span = span;
    const { traceId, spanId } = span.spanContext();
    const isRandom = !parent || (parseInt(parent.traceparent.slice(-2), 16) & randomFlag) !== 0;
    const flags = TraceFlags.SAMPLED | (isRandom ? randomFlag : 0);
    this.trace = {
      traceparent: `00-${traceId}-${spanId}-0${flags}`,
      ...(parent?.tracestate && { tracestate: parent.tracestate }),
    };
  }

  rename(name: string): void {
    this.#span.updateName(name);
  }

  end(errorType?: string, attributes?: Attributes): void {
    if (attributes) this.#span.setAttributes(attributes);
    if (errorType !== undefined) {
      this.#span.setAttribute('error.type', errorType);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}

function toContext(parent: ParentTrace | undefined): Context {
  if (!parent) return ROOT_CONTEXT;
  const [, traceId, spanId] = parent.traceparent.split('-') as [string, string, string];
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}
