import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Rejection } from '@jogakbo/contract';
import { childTraceparent, traceIdOf } from '@jogakbo/messaging';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import { Admission } from './admission.ts';
import { hasBody, readBody } from './body.ts';
import { addressOf, isSecure } from './client-address.ts';
import { answersCors } from './cors.ts';
import { Documents } from './documents.ts';
import { Drain } from './drain.ts';
import { Exchange } from './exchange.ts';
import { Forward } from './forward.ts';
import { KnownServices } from './known-services.ts';
import { problemHeaders, problemOf, problemOfStatus, sendProblem } from './problem.ts';
import { RequestLog } from './request-log.ts';
import { GatewaySettings } from './settings.ts';

/** A URL longer than this is refused, before anybody looks at it. */
const longestUrl = 4_096;
const mostHeaders = 100;
/** So many requests of one connection are worked on at the same time: none sends its next before the answer, but attackers. */
const mostAtOnce = 32;
/**
 * A connection on which nothing moves for so long (milliseconds) is closed, and who does not read his answers holds no
 * place any more. Longer than anybody who is served is kept waiting.
 */
const longestSilence = 100_000;

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

const always = Object.entries(securityHeaders).flat();

/** For those who came over TLS: for a year, come no other way. */
const onlyTls = 'max-age=31536000; includeSubDomains';

/** How the HTTP server is made. Limits that depend on settings are set by `configure`. */
export const httpOptions: FastifyHttpOptions<Server> & { skipMiddie: boolean } = {
  logger: false,
  // Whoever is on a connection already is still served while it drains.
  return503OnClosing: false,
  keepAliveTimeout: 65_000,
  // How long a request may trickle in is a setting; this is how often it is looked at.
  http: { maxHeaderSize: 16_384, connectionsCheckingInterval: 500, optimizeEmptyRequests: true },
  clientErrorHandler: refuseUnreadable,
  // No Nest middleware runs here.
  skipMiddie: true,
};

/** Puts the door before the HTTP server that every service has: health and metrics alone are still Nest's to answer. */
export async function configure(app: NestFastifyApplication): Promise<void> {
  const log = app.get(RequestLog);
  const admission = app.get(Admission);
  const forward = app.get(Forward);
  const documents = app.get(Documents);
  const drain = app.get(Drain);
  const { bodyLimit, arrivalTimeout, corsOrigins, trustProxy, metricsReaders } = app.get(GatewaySettings);
  const { server } = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  // One more than is taken, so that one too many is seen and not left out in silence.
  Object.assign(server, {
    ...{ headersTimeout: arrivalTimeout, requestTimeout: arrivalTimeout, timeout: longestSilence },
    maxHeadersCount: mostHeaders + 1,
  });
  const services = app.get(KnownServices);
  let head = always;
  services.onTable(() => {
    const { simulated } = services;
    head = simulated.length > 0 ? [...always, 'x-simulated', simulated.join(', ')] : always;
  });
  const isLast = () => drain.hasBegun;
  const underWay = new WeakMap<Socket, number>();
  const [nest] = server.listeners('request') as [RequestListener];
  server.off('request', nest).on('request', (request, response) => {
    // What fails beyond all care costs this connection, and no other.
    answer(request, response).catch((error: Error) => {
      new Logger('http').error(error);
      response.destroy();
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(request, response, head, addressOf(request, trustProxy), isLast);
    exchange.whenOver(() => log.end(exchange));
    const { socket } = request;
    const atOnce = (underWay.get(socket) ?? 0) + 1;
    underWay.set(socket, atOnce);
    exchange.whenOver(() => underWay.set(socket, underWay.get(socket)! - 1));
    if (isSecure(request, trustProxy)) exchange.header('strict-transport-security', onlyTls);
    try {
      if (atOnce > mostAtOnce) throw tooManyAtOnce();
      mustBeSane(exchange);
      if (answersCors(corsOrigins, exchange) || answersItself(exchange)) return;
      if (!(await admission.admits(exchange))) return;
      if (hasBody(exchange)) exchange.body = await readBody(exchange, bodyLimit);
      await forward.handle(exchange);
    } catch (error) {
      refuse(exchange, error);
    }
  }

  /** What is asked of the gateway itself. */
  function answersItself(exchange: Exchange): boolean {
    const { method, path } = exchange;
    if (method !== 'GET' && method !== 'HEAD') return false;
    if (documents.answer(exchange)) return true;
    if (path === '/metrics' && !metricsReaders(exchange.address, 0))
      throw new Rejection('not-found', 404, 'there is no such route');
    if (path !== '/metrics' && path !== '/health/live' && path !== '/health/ready') return false;
    exchange.route = path;
    exchange.passTo(nest);
    return true;
  }

  function refuse(exchange: Exchange, error: unknown): void {
    // It is the client that broke off.
    if (exchange.isOver && (error as { code?: unknown }).code === 'ECONNRESET') return;
    const problem = problemOf(error, exchange.traceId);
    // Of what is shed there is a number, not a line each: it comes when there is too much to do.
    if (problem.code === 'overloaded') exchange.isShed = true;
    else if (problem.status >= 500) log.fault(exchange, error);
    if (error instanceof Rejection && error.retryAfter)
      exchange.header('retry-after', String(error.retryAfter));
    sendProblem(exchange, problem);
  }
}

const tooManyAtOnce = () =>
  new Rejection('too-many-requests', 429, `not more than ${mostAtOnce} at the same time on one connection`);

/** @throws Rejection */
function mustBeSane({ url, request: { rawHeaders } }: Exchange): void {
  if (url.length > longestUrl) throw new Rejection('uri-too-long', 414, `not more than ${longestUrl} bytes`);
  if (rawHeaders.length > 2 * mostHeaders)
    throw new Rejection('headers-too-large', 431, `not more than ${mostHeaders} headers`);
  if (url.includes('%00')) throw new Rejection('invalid-url', 400, 'there is no NUL in a URL');
}

const newTraceId = (): string => traceIdOf(childTraceparent())!;

const unreadable: Record<string, number> = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 };

/** Answers what is not even HTTP, or came too slowly, and hangs up. */
function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  const { _httpMessage: answering } = socket as Socket & { _httpMessage?: ServerResponse };
  // An answer that has begun cannot be taken back.
  if (!socket.writable || error.code === 'ECONNRESET' || answering?.headersSent) return void socket.destroy();
  const problem = problemOfStatus(unreadable[error.code ?? ''] ?? 400, newTraceId());
  const body = JSON.stringify(problem);
  const headers = {
    ...securityHeaders,
    ...problemHeaders(problem),
    'x-request-id': problem.traceId,
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('')}\r\n${body}`);
  // Whether or not the other side hangs up as well.
  socket.destroySoon();
}
