import { Rejection } from '@jogakbo/contract';
import type { Caller } from '@jogakbo/messaging';
import type { Dispatcher } from 'undici';
import type { RequestContext } from './request-context.ts';
import { normalizeBody } from './input.ts';
import type { Route } from './routes.ts';
import { externalPolicy } from './security-headers.ts';

/** The client headers that are forwarded. Others could spoof headers that services trust from the gateway. */
const requestHeaders = [
  'accept',
  'accept-language',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'idempotency-key',
  'prefer',
  'range',
  'user-agent',
];
/** The response headers that are forwarded. Cookies, hop-by-hop headers and server identification are dropped. */
const responseHeaders = [
  'content-type',
  'content-language',
  'content-encoding',
  'content-disposition',
  'etag',
  'last-modified',
  'vary',
  'location',
  'link',
  'retry-after',
  'allow',
  'accept-ranges',
  'content-range',
  'preference-applied',
  'deprecation',
  'sunset',
];

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The request to an instance. */
export interface UpstreamRequest {
  method: Dispatcher.HttpMethod;
  path: string;
  headers: Record<string, string>;
  body: string | null;
}

/** The response of an instance. */
export interface UpstreamReply {
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
): UpstreamRequest {
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

/** Builds the path from the route, so that encoded parameters cannot change the route. */
const buildPath = (pattern: string, parameters: Record<string, string>): string =>
  pattern.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parameters[name]!));

/** Sends the response of an instance to the client. @throws Rejection for a status of 400 or above */
export function sendResponse(
  response: UpstreamReply,
  { access, http }: Route,
  origin: string,
  context: RequestContext,
): void {
  const { status, headers, body } = response;
  const getFirst = (name: string): string | undefined => [headers[name] ?? []].flat()[0];
  if (status >= 400) {
    for (const name of ['allow', 'retry-after']) if (getFirst(name)) context.header(name, getFirst(name)!);
    throw toRejection(response);
  }
  for (const name of responseHeaders) {
    const value = headers[name];
    if (value === undefined) continue;
    // The gateway may have set part of `vary` already.
    if (name === 'vary') context.append(name, [value].flat().join(', '));
    else context.header(name, value);
  }
  const location = getFirst('location');
  if (location?.startsWith(`${origin}/`)) context.header('location', location.slice(origin.length));
  context.header('content-security-policy', externalPolicy);
  const isCacheable = access === 'public' && http.method === 'GET';
  if (!isCacheable) context.header('cache-control', 'no-store');
  else {
    // The service received the member's identity, so the response may be specific to this member.
    const isAnonymous = context.memberId === undefined;
    context.header(
      'cache-control',
      isAnonymous ? (getFirst('cache-control') ?? 'no-cache') : 'private, no-cache',
    );
    if (isAnonymous && getFirst('expires')) context.header('expires', getFirst('expires')!);
    context.append('vary', 'Authorization');
  }
  if (body.length > 0 && !getFirst('content-type'))
    context.header('content-type', 'application/octet-stream');
  const etag = getFirst('etag');
  if (etag && !etag.startsWith('W/') && mustWeaken(etag, response, context))
    context.header('etag', `W/${etag}`);
  context.send(status, body.length > 0 ? body : undefined);
}

/** A strong ETag identifies the bytes that the instance sent, not those that the gateway compresses. */
function mustWeaken(etag: string, { status, body }: UpstreamReply, context: RequestContext): boolean {
  if (status === 304) return context.headers['if-none-match']?.includes(`W/${etag}`) === true;
  return status !== 206 && body.length > 0 && context.chooseCoding(body) !== undefined;
}

/** Converts an error response; keeps code and detail of a problem document (RFC 9457). */
function toRejection({ status, headers, body }: UpstreamReply): Rejection {
  let problem: { code?: unknown; title?: unknown; detail?: unknown } = {};
  if (String(headers['content-type']).startsWith('application/problem+json')) {
    try {
      problem = (JSON.parse(utf8.decode(body)) as typeof problem | null) ?? {};
    } catch {
      // Not a valid problem document: only the status is used.
    }
  }
  const code =
    typeof problem.code === 'string' && /^[a-z][a-z0-9-]{0,60}$/.test(problem.code)
      ? problem.code
      : undefined;
  const detail = [problem.detail, problem.title].find((text) => typeof text === 'string') as
    string | undefined;
  return new Rejection(code ?? toCode(status), status, detail);
}

const codes: Record<number, string> = { 401: 'unauthenticated', 403: 'forbidden', 404: 'not-found' };
const toCode = (status: number): string => codes[status] ?? 'refused';
