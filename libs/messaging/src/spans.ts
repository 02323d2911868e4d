import { childTrace, type TraceContext } from './trace-context.ts';

export type SpanAttributes = Record<string, string | number | boolean | undefined>;

/** What a span is about, in the terms of OpenTelemetry's semantic conventions. */
export interface SpanStart {
  name: string;
  kind: 'server' | 'client' | 'producer' | 'consumer';
  attributes: SpanAttributes;
}

/** A span under way. */
export interface Span {
  /** For the messages that this work sends: their spans are its children. */
  readonly trace: TraceContext;
  rename(name: string): void;
  /** @param errorType a class of errors, such as the name of an exception; undefined if the work succeeded */
  end(errorType?: string, attributes?: SpanAttributes): void;
}

/** Records spans. Inject it to record those of own work. */
export abstract class Spans {
  /** @param parent undefined for the first span of a new trace */
  abstract start(what: SpanStart, parent: TraceContext | undefined): Span;
}

/** For instances that export no spans: only passes the trace on. */
export const noSpans: Spans = {
  start: (_what, parent) => ({
    trace: childTrace(parent?.traceparent, parent?.tracestate),
    rename: () => undefined,
    end: () => undefined,
  }),
};

/** Attributes of all spans about messages. Destinations are named after the contract, which all peers know. */
export const describeMessage = (
  operation: 'create' | 'send' | 'process',
  name: string,
  messageId: string,
): SpanAttributes => ({
  'messaging.system': 'rabbitmq',
  'messaging.operation.type': operation,
  'messaging.operation.name': operation,
  'messaging.destination.name': name,
  'messaging.message.id': messageId,
});

/** The type of an error, for the attribute `error.type`: without its text, which may quote data. */
export function toErrorType(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  // Numbers are codes of DOMException: 23 is a timeout.
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.name : typeof error;
}
