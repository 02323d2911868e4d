import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Rejection } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import { Admission } from './admission.ts';
import { hasBody, readBody } from './body.ts';
import { getClientAddress, isOriginKnown, isSecure } from './client-address.ts';
import { answerCors } from './cors.ts';
import { Documents } from './documents.ts';
import { Drain } from './drain.ts';
import { RequestContext } from './request-context.ts';
import { Forward } from './forward.ts';
import { maxHeaders, mustBeHttp, parseTarget } from './http-syntax.ts';
import { KnownServices } from './known-services.ts';
import { NotSupported, toProblem, sendProblem } from './problem.ts';
import { RequestLog } from './request-log.ts';
import { strictTransportSecurity, securityHeaders } from './security-headers.ts';
import { GatewaySettings } from './settings.ts';
import { rejectTunnel, rejectUnreadable } from './unreadable.ts';

/** Maximum concurrent requests of one connection. Clients do not pipeline, except attackers. */
const maxPerConnection = 32;
/**
 * Milliseconds until an idle connection is closed, also one whose client does not read its responses. Longer than any
 * request may take.
 */
const idleTimeoutMs = 100_000;

const defaultHeaders = Object.entries(securityHeaders).flat();

/** Options of the HTTP server. `configure` sets the limits that depend on settings. */
export const httpOptions: FastifyHttpOptions<Server> & { skipMiddie: boolean } = {
  logger: false,
  // Requests on open connections are still served during shutdown.
  return503OnClosing: false,
  keepAliveTimeout: 65_000,
  http: {
    maxHeaderSize: 16_384,
    // Milliseconds between checks of ARRIVAL_TIMEOUT.
    connectionsCheckingInterval: 500,
    optimizeEmptyRequests: true,
    // `mustBeHttp` rejects a request without Host with a problem document.
    requireHostHeader: false,
  },
  clientErrorHandler: rejectUnreadable,
  // No Nest middleware runs here.
  skipMiddie: true,
};

/** Puts the gateway in front of the HTTP server that every service has. Nest answers only health and metrics. */
export async function configure(app: NestFastifyApplication): Promise<void> {
  const log = app.get(RequestLog);
  const admission = app.get(Admission);
  const forward = app.get(Forward);
  const documents = app.get(Documents);
  const drain = app.get(Drain);
  const { bodyLimit, arrivalTimeout, corsOrigins, trustProxy, metricsReaders } = app.get(GatewaySettings);
  const { server } = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  // One above the limit, because Node silently drops headers beyond `maxHeadersCount`.
  Object.assign(server, {
    headersTimeout: arrivalTimeout,
    requestTimeout: arrivalTimeout,
    timeout: idleTimeoutMs,
    maxHeadersCount: maxHeaders + 1,
  });
  const services = app.get(KnownServices);
  let head = defaultHeaders;
  services.onTable(() => {
    const { simulated } = services;
    head = simulated.length > 0 ? [...defaultHeaders, 'x-simulated', simulated.join(', ')] : defaultHeaders;
  });
  const isLast = () => drain.hasBegun;
  const inFlight = new WeakMap<Socket, number>();
  const [nest] = server.listeners('request') as [RequestListener];
  const handle = (request: IncomingMessage, response: ServerResponse, expects?: 'continue' | 'unknown') => {
    // An unexpected error closes only this connection.
    answer(request, response, expects).catch((error: Error) => {
      new Logger('http').error(error);
      response.destroy();
    });
  };
  server
    .off('request', nest)
    .on('request', (request, response) => handle(request, response))
    .on('checkContinue', (request, response) => handle(request, response, 'continue'))
    .on('checkExpectation', (request, response) => handle(request, response, 'unknown'))
    .on('connect', rejectTunnel);

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    expects: 'continue' | 'unknown' | undefined,
  ): Promise<void> {
    const context = new RequestContext(
      request,
      response,
      head,
      getClientAddress(request, trustProxy),
      isLast,
    );
    context.awaitsContinue = expects !== undefined;
    context.onClose(() => log.logRequest(context));
    const { socket } = request;
    const concurrent = (inFlight.get(socket) ?? 0) + 1;
    inFlight.set(socket, concurrent);
    context.onClose(() => inFlight.set(socket, inFlight.get(socket)! - 1));
    if (isSecure(request, trustProxy)) context.header('strict-transport-security', strictTransportSecurity);
    try {
      if (concurrent > maxPerConnection) throw createTooManyRequests();
      try {
        mustBeHttp(request);
      } catch (error) {
        // The next bytes on this connection may be a smuggled request.
        context.header('connection', 'close');
        throw error;
      }
      context.setTarget(parseTarget(request));
      if (expects === 'unknown')
        throw new Rejection('expectation-failed', 417, 'the only supported expectation is 100-continue');
      if (answerCors(corsOrigins, context) || answerOwnRoute(context)) return;
      if (!(await admission.admit(context))) return;
      forward.mustBeAnswerable(context);
      if (hasBody(context)) context.body = await readBody(context, bodyLimit);
      await forward.handle(context);
    } catch (error) {
      sendError(context, error);
    }
  }

  /** Answers the gateway's own routes. @returns false for all other routes */
  function answerOwnRoute(context: RequestContext): boolean {
    const { method, path } = context;
    // `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7).
    if (path === '*') {
      context.route = path;
      context.header('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS').send(204);
      return true;
    }
    if (method !== 'GET' && method !== 'HEAD') return false;
    if (documents.answer(context)) return true;
    const maySeeMetrics = () =>
      isOriginKnown(context.request, trustProxy) && metricsReaders(context.address, 0);
    if (path === '/metrics' && !maySeeMetrics()) throw new Rejection('not-found', 404, 'no such route');
    if (path !== '/metrics' && path !== '/health/live' && path !== '/health/ready') return false;
    context.route = path;
    context.delegateTo(nest);
    return true;
  }

  function sendError(context: RequestContext, error: unknown): void {
    // The client closed the connection.
    if (context.isClosed && (error as { code?: unknown }).code === 'ECONNRESET') return;
    const problem = toProblem(error, context.traceId);
    // Shed requests are counted, not logged, to save time under overload.
    if (problem.code === 'overloaded') context.isShed = true;
    else if (problem.status >= 500 && !(error instanceof NotSupported)) log.logError(context, error);
    if (error instanceof Rejection && error.retryAfter)
      context.header('retry-after', String(error.retryAfter));
    sendProblem(context, problem);
  }
}

const createTooManyRequests = () =>
  new Rejection('too-many-requests', 429, `at most ${maxPerConnection} concurrent requests per connection`);
