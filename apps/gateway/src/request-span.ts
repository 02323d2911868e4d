import type { IncomingMessage } from 'node:http';
import { readTrace, type Span, type Spans } from '@jogakbo/messaging';

/** Starts the span of a request: a child of the client's, if it sent a valid trace context. */
export function startRequestSpan(spans: Spans, { method, headers }: IncomingMessage): Span {
  const sentIn = readTrace(getText(headers['traceparent']), getText(headers['tracestate']));
  return spans.start({ name: method!, kind: 'server', attributes: {} }, sentIn);
}

/** What is known of a request at its end. */
interface EndedRequest {
  method: string;
  route: string;
  status: number;
  memberId: string | undefined;
}

/** Must be called when the response is sent or the client is gone. Records the route and not the path. */
export function endRequestSpan(span: Span, { method, route, status, memberId }: EndedRequest): void {
  span.rename(`${method} ${route}`);
  span.end(status >= 500 ? String(status) : undefined, {
    'http.request.method': method,
    'http.route': route,
    'http.response.status_code': status,
    'user.id': memberId,
  });
}

/** Node returns a list only for Set-Cookie, although its types allow one for every header. */
const getText = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;
