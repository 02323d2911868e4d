import { Rejection, type FieldError } from '@jogakbo/contract';
import { RemoteFault } from '@jogakbo/messaging';
import type { RequestContext } from './request-context.ts';

/** A problem document (RFC 9457), with additional members. */
export interface Problem {
  /** URI reference, fixed for each code. */
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

/** An HTTP feature that the gateway lacks: `not-implemented` or `http-version-not-supported`. */
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
  invalid: 'The request does not match the contract',
  'invalid-json': 'The body is not valid JSON',
  'invalid-url': 'The URL is malformed',
  'invalid-request': 'The request is malformed',
  unauthenticated: 'Requires a valid access token',
  'step-up-required': 'Requires a recent sign-in',
  forbidden: 'Access denied',
  'not-found': 'Not found',
  'method-not-allowed': 'Method not allowed',
  'payload-too-large': 'The body is too large',
  'uri-too-long': 'The URL is too long',
  'unsupported-media-type': 'The body must be application/json in UTF-8',
  'precondition-required': 'Requires If-Match',
  'precondition-failed': 'A precondition failed',
  'expectation-failed': 'The expectation cannot be met',
  'invalid-encoding': 'The text is not valid UTF-8',
  'not-implemented': 'Not implemented',
  'http-version-not-supported': 'HTTP version not supported',
  'headers-too-large': 'The headers are too large',
  'request-timeout': 'The request took too long to arrive',
  'idempotency-key-missing': 'Requires Idempotency-Key',
  'too-many-requests': 'Too many requests',
  overloaded: 'The server is overloaded',
  internal: 'Internal error',
  'bad-gateway': 'A service returned an invalid response',
  unavailable: 'Temporarily unavailable',
  timeout: 'The service did not answer in time',
});

/** Problem codes by status, for errors without a code. */
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
 * Converts every error to the problem that the client gets. For a fault it contains the kind and the trace id, but not the
 * message, which may reveal internals.
 */
export function toProblem(error: unknown, traceId: string): Problem {
  if (error instanceof Rejection && error.status >= 400 && error.status <= 499) {
    const { code, status, message, errors, extensions } = error;
    return {
      ...extensions,
      ...describeCode(code, status),
      detail: message,
      traceId,
      ...(errors && { errors }),
    };
  }
  if (error instanceof NotSupported) {
    const { status, message } = error;
    return { ...describeCode(toCode(status), status), detail: message, traceId };
  }
  if (error instanceof RemoteFault) {
    return { ...describeCode(...(faults.get(error.code) ?? ['internal', 500])), traceId };
  }
  return { ...describeCode('internal', 500), traceId };
}

/** Creates a problem from a status. */
export function createProblem(status: number, traceId: string): Problem {
  return { ...describeCode(toCode(status), status), traceId };
}

export const createOverloadedProblem = (traceId: string): Problem => ({
  ...describeCode('overloaded', 503),
  traceId,
});

export const sendProblem = (context: RequestContext, problem: Problem): void =>
  context.setHeaders(problemHeaders(problem)).send(problem.status, JSON.stringify(problem));

const toCode = (status: number): string => codes[status] ?? (status < 500 ? 'invalid-request' : 'internal');

function describeCode(code: string, status: number): Pick<Problem, 'type' | 'title' | 'status' | 'code'> {
  const words = code.replaceAll('-', ' ');
  const title = titles[code] ?? words[0]!.toUpperCase() + words.slice(1);
  return { type: `/problems/${encodeURIComponent(code)}`, title, status, code };
}

/** RFC 9470. */
const stepUpChallenge = 'Bearer error="insufficient_user_authentication"';

/** The response headers of a problem. */
export function problemHeaders({ status, code }: Pick<Problem, 'status' | 'code'>): Record<string, string> {
  return {
    'content-type': problemType,
    'content-language': 'en',
    'cache-control': 'no-store',
    ...(status === 401 && { 'www-authenticate': code === 'step-up-required' ? stepUpChallenge : 'Bearer' }),
    ...(status === 503 && { 'retry-after': '1' }),
  };
}
