import type { RequestContext } from './request-context.ts';

/** What pages of other origins may send and read, beside what they always may. */
const mayAsk = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': [
    ...['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'If-None-Match', 'Prefer'],
    ...['Traceparent', 'Tracestate', 'X-Request-Id'],
  ].join(', '),
  'access-control-max-age': '600',
};
const mayRead = [
  ...['Location', 'ETag', 'RateLimit', 'RateLimit-Policy', 'Retry-After', 'Idempotency-Key'],
  ...['Preference-Applied', 'X-Request-Id', 'Age', 'Cache-Status'],
].join(', ');

/**
 * Lets pages of the named origins call the API (CORS), without cookies: tokens say who it is. Other pages get no word of
 * it, so that their browser refuses.
 * @returns true where this was all that was asked, and is answered
 */
export function answersCors(origins: string[], context: RequestContext): boolean {
  if (origins.length === 0) return false;
  context.append('vary', 'Origin');
  const { origin } = context.headers;
  if (origin === undefined || !origins.includes(origin)) return false;
  context.header('access-control-allow-origin', origin).header('access-control-expose-headers', mayRead);
  if (context.method !== 'OPTIONS' || !context.headers['access-control-request-method']) return false;
  context.setHeaders(mayAsk).send(204);
  return true;
}
