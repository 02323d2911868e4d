import { Rejection, type FieldError } from '@jogakbo/contract';
import { RemoteFault } from '@jogakbo/messaging';
import type { RequestContext } from './request-context.ts';

/** An error as RFC 9457 has it, with the members that API.md adds. */
export interface Problem {
  /** A reference that never changes for a code. */
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  traceId: string;
  errors?: FieldError[];
  /** Extension members of the service that rejected the request. */
  [extension: string]: unknown;
}

/** What HTTP knows and this gateway does not: `not-implemented` or `http-version-not-supported`. */
export class NotSupported extends Error {
  override readonly name = 'NotSupported';
  constructor(
    readonly status: 501 | 505,
    message: string,
  ) {
    super(message);
  }
}

const problemType = 'application/problem+json; charset=utf-8';

const titles: Record<string, string> = Object.assign(Object.create(null), {
  invalid: 'The request does not fit the contract',
  'invalid-json': 'The body is not JSON',
  'invalid-url': 'The URL is malformed',
  'invalid-request': 'The request is malformed',
  unauthenticated: 'A valid access token is needed',
  'step-up-required': 'A recent sign-in is needed',
  forbidden: 'This is not for you',
  'not-found': 'There is no such thing',
  'method-not-allowed': 'The method is not allowed here',
  'payload-too-large': 'The body is too large',
  'uri-too-long': 'The URL is too long',
  'unsupported-media-type': 'The body must be application/json in UTF-8',
  'precondition-required': 'If-Match is needed',
  'precondition-failed': 'A condition of the request does not hold',
  'expectation-failed': 'The expectation cannot be met',
  'invalid-encoding': 'The text is not valid UTF-8',
  'not-implemented': 'This is not implemented',
  'http-version-not-supported': 'The version of HTTP is not supported',
  'headers-too-large': 'The headers are too large',
  'request-timeout': 'The request took too long to arrive',
  'idempotency-key-missing': 'Idempotency-Key is needed',
  'too-many-requests': 'You ask too often',
  overloaded: 'There is too much to do for the moment',
  internal: 'Something failed here',
  'bad-gateway': 'A service answered something unexpected',
  unavailable: 'This is not available for the moment',
  timeout: 'No answer in time',
});

/** What an error that is none of ours is called, by its status. */
const codes: Record<number, string> = {
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  408: 'request-timeout',
  413: 'payload-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  429: 'too-many-requests',
  417: 'expectation-failed',
  431: 'headers-too-large',
  501: 'not-implemented',
  502: 'bad-gateway',
  503: 'unavailable',
  504: 'timeout',
  505: 'http-version-not-supported',
};

const faults = new Map<string, [code: string, status: number]>([
  ['timeout', ['timeout', 504]],
  ['unavailable', ['unavailable', 503]],
  ['overloaded', ['overloaded', 503]],
  ['unknown-pattern', ['bad-gateway', 502]],
  ['contract-broken', ['bad-gateway', 502]],
]);

/**
 * The one place where an error becomes what a client sees. Of a fault it shows the kind and the trace, never the text:
 * that speaks of the inside.
 */
export function toProblem(error: unknown, traceId: string): Problem {
  if (error instanceof Rejection && error.status >= 400 && error.status <= 499) {
    const { code, status, message, errors, extensions } = error;
    return { ...extensions, ...problem(code, status), detail: message, traceId, ...(errors && { errors }) };
  }
  if (error instanceof NotSupported) {
    const { status, message } = error;
    return { ...problem(toCode(status), status), detail: message, traceId };
  }
  if (error instanceof RemoteFault) {
    return { ...problem(...(faults.get(error.code) ?? ['internal', 500])), traceId };
  }
  return { ...problem('internal', 500), traceId };
}

/** A problem of which nothing but the status is known. */
export function problemOfStatus(status: number, traceId: string): Problem {
  return { ...problem(toCode(status), status), traceId };
}

/** There is too much to do. */
export const overloaded = (traceId: string): Problem => ({ ...problem('overloaded', 503), traceId });

export const sendProblem = (context: RequestContext, problem: Problem): void =>
  context.setHeaders(problemHeaders(problem)).send(problem.status, JSON.stringify(problem));

const toCode = (status: number): string => codes[status] ?? (status < 500 ? 'invalid-request' : 'internal');

function problem(code: string, status: number): Pick<Problem, 'type' | 'title' | 'status' | 'code'> {
  const words = code.replaceAll('-', ' ');
  const title = titles[code] ?? words[0]!.toUpperCase() + words.slice(1);
  return { type: `/problems/${encodeURIComponent(code)}`, title, status, code };
}

/** RFC 9470. */
const stepUp = 'Bearer error="insufficient_user_authentication"';

/** Headers that go with a problem. */
export function problemHeaders({ status, code }: Pick<Problem, 'status' | 'code'>): Record<string, string> {
  return {
    'content-type': problemType,
    'content-language': 'en',
    'cache-control': 'no-store',
    ...(status === 401 && { 'www-authenticate': code === 'step-up-required' ? stepUp : 'Bearer' }),
    ...(status === 503 && { 'retry-after': '1' }),
  };
}
