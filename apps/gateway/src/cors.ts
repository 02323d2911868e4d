import type { RequestContext } from './request-context.ts';

/** Methods and headers that other origins may send and read, in addition to the CORS defaults. */
const preflightHeaders = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': [
    'Authorization',
    'Content-Type',
    'Idempotency-Key',
    'If-Match',
    'If-None-Match',
    'Prefer',
    'Traceparent',
    'Tracestate',
    'X-Request-Id',
  ].join(', '),
  'access-control-max-age': '600',
};
const exposedHeaders = [
  'Location',
  'ETag',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Idempotency-Key',
  'Preference-Applied',
  'X-Request-Id',
  'Age',
  'Cache-Status',
].join(', ');

/**
 * Lets pages of the given origins call the API (CORS), with access tokens but without cookies. Other origins get no CORS
 * headers, so browsers block them.
 * @returns true if the request was a preflight and is answered
 */
export function answerCors(origins: string[], context: RequestContext): boolean {
  if (origins.length === 0) return false;
  context.append('vary', 'Origin');
  const { origin } = context.headers;
  if (origin === undefined || !origins.includes(origin)) return false;
  context
    .header('access-control-allow-origin', origin)
    .header('access-control-expose-headers', exposedHeaders);
  if (context.method !== 'OPTIONS' || !context.headers['access-control-request-method']) return false;
  context.setHeaders(preflightHeaders).send(204);
  return true;
}
