import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { currentCall, toErrorType, type Span, type Spans } from '@jogakbo/messaging';
import type { Part } from './parts.ts';

/** A request of undici, or of `fetch`, which uses it. */
interface OutgoingRequest {
  origin: string | URL;
  method: string;
  /** Names and values by turns. */
  headers: string[];
  addHeader(name: string, value: string): void;
}
interface RequestEvent {
  request: OutgoingRequest;
  response?: { statusCode: number };
  error?: Error;
}

/**
 * Records a span for every HTTP request that a message or an HTTP request causes, and passes the trace on. A request that
 * carries a trace already has a span, as those of the gateway to its upstreams. Paths may contain data: they are left out.
 */
export class HttpClientSpans implements Part {
  readonly #current = new WeakMap<OutgoingRequest, { span: Span; status?: number }>();
  readonly #listeners = {
    'undici:request:create': (event: RequestEvent) => this.#start(event),
    'undici:request:headers': (event: RequestEvent) => this.#receive(event),
    'undici:request:trailers': (event: RequestEvent) => this.#end(event),
    'undici:request:error': (event: RequestEvent) => this.#end(event),
  };

  /** @param isOwn whether this instance runs the current code: the events are those of the whole process */
  constructor(
    private readonly spans: Spans,
    private readonly isOwn: () => boolean,
  ) {}

  open(): void {
    for (const [name, listener] of Object.entries(this.#listeners))
      subscribe(name, listener as (event: unknown) => void);
  }

  close(): void {
    for (const [name, listener] of Object.entries(this.#listeners))
      unsubscribe(name, listener as (event: unknown) => void);
  }

  #start({ request }: RequestEvent): void {
    const call = currentCall();
    if (!call || !this.isOwn() || request.headers.some((one) => /^traceparent$/i.test(one))) return;
    const { hostname, port, protocol } = new URL(request.origin);
    const span = this.spans.start(
      {
        name: request.method,
        kind: 'client',
        attributes: {
          'http.request.method': request.method,
          'server.address': hostname,
          'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
          'url.scheme': protocol.slice(0, -1),
        },
      },
      call,
    );
    request.addHeader('traceparent', span.trace.traceparent);
    if (span.trace.tracestate) request.addHeader('tracestate', span.trace.tracestate);
    this.#current.set(request, { span });
  }

  #receive({ request, response }: RequestEvent): void {
    const current = this.#current.get(request);
    if (current && response) current.status = response.statusCode;
  }

  #end({ request, error }: RequestEvent): void {
    const current = this.#current.get(request);
    if (!current) return;
    const { span, status } = current;
    const failure = error
      ? toErrorType(error)
      : status !== undefined && status >= 400
        ? String(status)
        : undefined;
    span.end(failure, { 'http.response.status_code': status });
    this.#current.delete(request);
  }
}
