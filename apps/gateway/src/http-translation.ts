import { Rejection } from '@jogakbo/contract';
import type { Caller } from '@jogakbo/messaging';
import type { Dispatcher } from 'undici';
import type { RequestContext } from './request-context.ts';
import { normalizeBody } from './input.ts';
import type { Route } from './routes.ts';
import { foreignPolicy } from './security-headers.ts';

/** Everything else that a client sends stays here: among it could be what services take for the word of the gateway. */
const requestHeaders = [
  ...['accept', 'accept-language', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'],
  ...['idempotency-key', 'prefer', 'range', 'user-agent'],
];
/** What an answer may say. Cookies, and what speaks of the connection or of who answers, are not for clients. */
const responseHeaders = [
  ...['content-type', 'content-language', 'content-encoding', 'content-disposition', 'etag', 'last-modified'],
  ...['vary', 'location', 'link', 'retry-after', 'allow', 'accept-ranges', 'content-range'],
  ...['preference-applied', 'deprecation', 'sunset'],
];

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** What goes to an instance. */
export interface Sent {
  method: Dispatcher.HttpMethod;
  path: string;
  headers: Record<string, string>;
  body: string | null;
}

/** What comes back. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

export function buildRequest(
  { http }: Route,
  parameters: Record<string, string>,
  {
    caller,
    assertion,
    splitKey,
  }: { caller: Caller | undefined; assertion: string | undefined; splitKey: number },
  { headers, body, url, path, trace, traceId }: RequestContext,
): Sent {
  const hasBody = http.method !== 'GET' && http.method !== 'DELETE' && body !== undefined;
  if (hasBody) normalizeBody(body);
  const passed = requestHeaders.flatMap((name) => {
    const value = headers[name];
    return value === undefined ? [] : [[name, String(value)] as const];
  });
  return {
    method: http.method as Dispatcher.HttpMethod,
    path: buildPath(http.path, parameters) + url.slice(path.length),
    headers: {
      ...Object.fromEntries(passed),
      'accept-encoding': 'identity',
      ...trace,
      'x-request-id': traceId,
      'x-jogakbo-split-key': String(splitKey),
      ...(hasBody && { 'content-type': 'application/json' }),
      ...(caller && {
        'x-jogakbo-member': encodeURIComponent(caller.memberId),
        'x-jogakbo-roles': caller.roles.map(encodeURIComponent).join(','),
        'x-jogakbo-assertion': assertion,
      }),
    },
    body: hasBody ? JSON.stringify(body) : null,
  };
}

/** The path is made anew, so that nothing of it leads anywhere but where the route does. */
const buildPath = (pattern: string, parameters: Record<string, string>): string =>
  pattern.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parameters[name]!));

/** Answers with what an instance answered. @throws Rejection its "no" */
export function answerWith(
  answer: Answer,
  { access, http }: Route,
  origin: string,
  context: RequestContext,
): void {
  const { status, headers, body } = answer;
  const one = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  if (status >= 400) {
    for (const name of ['allow', 'retry-after']) if (one(name)) context.header(name, one(name)!);
    throw toRejection(answer);
  }
  for (const name of responseHeaders) {
    const value = headers[name];
    if (value === undefined) continue;
    // Of `vary` a part may be our own already.
    if (name === 'vary') context.append(name, [value].flat().join(', '));
    else context.header(name, value);
  }
  const location = one('location');
  if (location?.startsWith(`${origin}/`)) context.header('location', location.slice(origin.length));
  context.header('content-security-policy', foreignPolicy);
  const isCacheable = access === 'public' && http.method === 'GET';
  if (!isCacheable) context.header('cache-control', 'no-store');
  else {
    // The service was told who is signed in: such an answer is for this member alone, whatever the service says of it.
    const isForAll = context.memberId === undefined;
    context.header('cache-control', isForAll ? (one('cache-control') ?? 'no-cache') : 'private, no-cache');
    if (isForAll && one('expires')) context.header('expires', one('expires')!);
    context.append('vary', 'Authorization');
  }
  if (body.length > 0 && !one('content-type')) context.header('content-type', 'application/octet-stream');
  const etag = one('etag');
  if (etag && !etag.startsWith('W/') && isWeakened(etag, answer, context))
    context.header('etag', `W/${etag}`);
  context.send(status, body.length > 0 ? body : undefined);
}

/** A strong ETag is of one sequence of bytes: of those that the instance sent, not of what is compressed here. */
function isWeakened(etag: string, { status, body }: Answer, context: RequestContext): boolean {
  if (status === 304) return context.headers['if-none-match']?.includes(`W/${etag}`) === true;
  return status !== 206 && body.length > 0 && context.chooseCoding(body) !== undefined;
}

/** An instance's "no" in the form of all others: with its own words where it sends a problem (RFC 9457). */
function toRejection({ status, headers, body }: Answer): Rejection {
  let said: { code?: unknown; title?: unknown; detail?: unknown } = {};
  if (String(headers['content-type']).startsWith('application/problem+json')) {
    try {
      said = (JSON.parse(utf8.decode(body)) as typeof said | null) ?? {};
    } catch {
      // No words, then.
    }
  }
  const code =
    typeof said.code === 'string' && /^[a-z][a-z0-9-]{0,60}$/.test(said.code) ? said.code : undefined;
  const detail = [said.detail, said.title].find((text) => typeof text === 'string') as string | undefined;
  return new Rejection(code ?? toCode(status), status, detail);
}

const codes: Record<number, string> = { 401: 'unauthenticated', 403: 'forbidden', 404: 'not-found' };
const toCode = (status: number): string => codes[status] ?? 'refused';
