import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Rejection } from '@jogakbo/contract';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import { Admission } from './admission.ts';
import { hasBody, readBody } from './body.ts';
import { getClientAddress, isOriginKnown, isSecure } from './client-address.ts';
import { answersCors } from './cors.ts';
import { Documents } from './documents.ts';
import { Drain } from './drain.ts';
import { RequestContext } from './request-context.ts';
import { Forward } from './forward.ts';
import { mostHeaders, mustBeHttp, parseTarget } from './http-syntax.ts';
import { KnownServices } from './known-services.ts';
import { NotSupported, toProblem, sendProblem } from './problem.ts';
import { RequestLog } from './request-log.ts';
import { onlyTls, securityHeaders } from './security-headers.ts';
import { GatewaySettings } from './settings.ts';
import { refuseTunnel, refuseUnreadable } from './unreadable.ts';

/** So many requests of one connection are worked on at the same time: none sends its next before the answer, but attackers. */
const mostAtOnce = 32;
/**
 * A connection on which nothing moves for so long (milliseconds) is closed, and who does not read his answers holds no
 * place any more. Longer than anybody who is served is kept waiting.
 */
const longestSilence = 100_000;

const always = Object.entries(securityHeaders).flat();

/** How the HTTP server is made. Limits that depend on settings are set by `configure`. */
export const httpOptions: FastifyHttpOptions<Server> & { skipMiddie: boolean } = {
  logger: false,
  // Whoever is on a connection already is still served while it drains.
  return503OnClosing: false,
  keepAliveTimeout: 65_000,
  http: {
    maxHeaderSize: 16_384,
    // How long a request may trickle in is a setting; this is how often it is looked at.
    connectionsCheckingInterval: 500,
    optimizeEmptyRequests: true,
    // `mustBeHttp` refuses a request without it with a problem.
    requireHostHeader: false,
  },
  clientErrorHandler: refuseUnreadable,
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
  const take = (request: IncomingMessage, response: ServerResponse, expects?: 'continue' | 'unknown') => {
    // What fails beyond all care costs this connection, and no other.
    answer(request, response, expects).catch((error: Error) => {
      new Logger('http').error(error);
      response.destroy();
    });
  };
  server
    .off('request', nest)
    .on('request', (request, response) => take(request, response))
    .on('checkContinue', (request, response) => take(request, response, 'continue'))
    .on('checkExpectation', (request, response) => take(request, response, 'unknown'))
    .on('connect', refuseTunnel);

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
    context.whenOver(() => log.end(context));
    const { socket } = request;
    const atOnce = (underWay.get(socket) ?? 0) + 1;
    underWay.set(socket, atOnce);
    context.whenOver(() => underWay.set(socket, underWay.get(socket)! - 1));
    if (isSecure(request, trustProxy)) context.header('strict-transport-security', onlyTls);
    try {
      if (atOnce > mostAtOnce) throw tooManyAtOnce();
      try {
        mustBeHttp(request);
      } catch (error) {
        // What follows on this connection may not be a request, or be one that was smuggled in.
        context.header('connection', 'close');
        throw error;
      }
      context.setTarget(parseTarget(request));
      if (expects === 'unknown')
        throw new Rejection('expectation-failed', 417, 'the only expectation that is met is 100-continue');
      if (answersCors(corsOrigins, context) || answersItself(context)) return;
      if (!(await admission.admits(context))) return;
      forward.mustBeAnswerable(context);
      if (hasBody(context)) context.body = await readBody(context, bodyLimit);
      await forward.handle(context);
    } catch (error) {
      refuse(context, error);
    }
  }

  /** What is asked of the gateway itself. */
  function answersItself(context: RequestContext): boolean {
    const { method, path } = context;
    // Of the server as a whole (RFC 9110, section 9.3.7).
    if (path === '*') {
      context.route = path;
      context.header('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS').send(204);
      return true;
    }
    if (method !== 'GET' && method !== 'HEAD') return false;
    if (documents.answer(context)) return true;
    const maySeeMetrics = () =>
      isOriginKnown(context.request, trustProxy) && metricsReaders(context.address, 0);
    if (path === '/metrics' && !maySeeMetrics())
      throw new Rejection('not-found', 404, 'there is no such route');
    if (path !== '/metrics' && path !== '/health/live' && path !== '/health/ready') return false;
    context.route = path;
    context.passTo(nest);
    return true;
  }

  function refuse(context: RequestContext, error: unknown): void {
    // It is the client that broke off.
    if (context.isOver && (error as { code?: unknown }).code === 'ECONNRESET') return;
    const problem = toProblem(error, context.traceId);
    // Of what is shed there is a number, not a line each: it comes when there is too much to do.
    if (problem.code === 'overloaded') context.isShed = true;
    else if (problem.status >= 500 && !(error instanceof NotSupported)) log.fault(context, error);
    if (error instanceof Rejection && error.retryAfter)
      context.header('retry-after', String(error.retryAfter));
    sendProblem(context, problem);
  }
}

const tooManyAtOnce = () =>
  new Rejection('too-many-requests', 429, `not more than ${mostAtOnce} at the same time on one connection`);
