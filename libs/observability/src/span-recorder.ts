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

// The shapes of the library `messaging`, which records its spans here: neither library depends on the other.

/** A position in a trace: W3C Trace Context. The traceparent must be valid. */
interface TraceContext {
  traceparent: string;
  tracestate?: string;
}

type Attributes = Record<string, string | number | boolean | undefined>;

interface SpanStart {
  name: string;
  kind: 'server' | 'client' | 'producer' | 'consumer';
  attributes: Attributes;
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

  /** @param parent undefined for the first span of a new trace */
  start({ name, kind, attributes }: SpanStart, parent: TraceContext | undefined): RecordedSpan {
    const span = this.#tracer.startSpan(name, { kind: kinds[kind], attributes }, toContext(parent));
    return new RecordedSpan(span, parent);
  }
}

/** A span under way. */
export class RecordedSpan {
  /** The trace context of what this span causes. */
  readonly trace: TraceContext;
  readonly #span: Span;

  constructor(span: Span, parent: TraceContext | undefined) {
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

  /** Ends it; later calls have no effect. @param errorType undefined if the work succeeded */
  end(errorType?: string, attributes?: Attributes): void {
    if (attributes) this.#span.setAttributes(attributes);
    if (errorType !== undefined) {
      this.#span.setAttribute('error.type', errorType);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}

function toContext(parent: TraceContext | undefined): Context {
  if (!parent) return ROOT_CONTEXT;
  const [, traceId, spanId] = parent.traceparent.split('-') as [string, string, string];
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  });
}
