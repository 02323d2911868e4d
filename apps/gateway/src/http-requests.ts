import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Rejection } from '@jogakbo/contract';
import { Spans } from '@jogakbo/messaging';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Admission } from './admission.ts';
import { hasBody, readBody } from './body.ts';
import { getClientAddress, isOriginKnown, isSecure } from './client-address.ts';
import { answerCors } from './cors.ts';
import { Documents } from './documents.ts';
import { Drain } from './drain.ts';
import { Forward } from './forward.ts';
import { mustBeHttp, parseTarget } from './http-syntax.ts';
import { KnownServices } from './known-services.ts';
import { NotSupported, sendProblem, toProblem } from './problem.ts';
import { RequestContext } from './request-context.ts';
import { RequestLog } from './request-log.ts';
import { securityHeaders, strictTransportSecurity } from './security-headers.ts';
import { GatewaySettings } from './settings.ts';

/** Maximum concurrent requests of one connection. Clients do not pipeline, except attackers. */
const maxPerConnection = 32;

const defaultHeaders = Object.entries(securityHeaders).flat();

/** What the client awaits before it sends the body: `100-continue`, or something that is not supported. */
export type Expectation = 'continue' | 'unknown';

/** Answers every request of the HTTP server. */
export class HttpRequests {
  readonly #log: RequestLog;
  readonly #admission: Admission;
  readonly #forward: Forward;
  readonly #documents: Documents;
  readonly #drain: Drain;
  readonly #settings: GatewaySettings;
  readonly #spans: Spans;
  readonly #nest: RequestListener;
  readonly #inFlight = new WeakMap<Socket, number>();
  readonly #isLast = () => this.#drain.hasBegun;
  #headers = defaultHeaders;

  /** @param nest answers health and metrics */
  constructor(app: NestFastifyApplication, nest: RequestListener) {
    this.#log = app.get(RequestLog);
    this.#admission = app.get(Admission);
    this.#forward = app.get(Forward);
    this.#documents = app.get(Documents);
    this.#drain = app.get(Drain);
    this.#settings = app.get(GatewaySettings);
    this.#spans = app.get(Spans);
    this.#nest = nest;
    const services = app.get(KnownServices);
    services.onTable(() => {
      const { simulated } = services;
      const isReal = simulated.length === 0;
      this.#headers = isReal ? defaultHeaders : [...defaultHeaders, 'x-simulated', simulated.join(', ')];
    });
  }

  async answer(request: IncomingMessage, response: ServerResponse, expects?: Expectation): Promise<void> {
    const { bodyLimit, corsOrigins, trustProxy } = this.#settings;
    const address = getClientAddress(request, trustProxy);
    const context = new RequestContext(request, response, this.#headers, address, this.#isLast, this.#spans);
    context.awaitsContinue = expects !== undefined;
    context.onClose(() => this.#log.logRequest(context));
    const concurrent = this.#count(context);
    if (isSecure(request, trustProxy)) context.header('strict-transport-security', strictTransportSecurity);
    try {
      if (concurrent > maxPerConnection) throw createTooManyRequests();
      checkSyntax(context);
      context.setTarget(parseTarget(request));
      if (expects === 'unknown')
        throw new Rejection('expectation-failed', 417, 'the only supported expectation is 100-continue');
      context.isUnrecorded = answerCors(corsOrigins, context) || this.#answerOwnRoute(context);
      if (context.isUnrecorded) return;
      if (!(await this.#admission.admit(context))) return;
      this.#forward.mustBeAnswerable(context);
      if (hasBody(context)) context.body = await readBody(context, bodyLimit);
      await this.#forward.handle(context);
    } catch (error) {
      this.#sendError(context, error);
    }
  }

  /** @returns the number of requests that its connection has in progress, with this one */
  #count(context: RequestContext): number {
    const { socket } = context.request;
    const concurrent = (this.#inFlight.get(socket) ?? 0) + 1;
    this.#inFlight.set(socket, concurrent);
    context.onClose(() => this.#inFlight.set(socket, this.#inFlight.get(socket)! - 1));
    return concurrent;
  }

  /** Answers the gateway's own routes. @returns false for all other routes */
  #answerOwnRoute(context: RequestContext): boolean {
    const { method, path, address } = context;
    const { trustProxy, metricsReaders } = this.#settings;
    // `OPTIONS *` asks about the server as a whole (RFC 9110, section 9.3.7).
    if (path === '*') {
      context.route = path;
      context.header('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS').send(204);
      return true;
    }
    if (method !== 'GET' && method !== 'HEAD') return false;
    if (this.#documents.answer(context)) return true;
    const maySeeMetrics = () => isOriginKnown(context.request, trustProxy) && metricsReaders(address, 0);
    if (path === '/metrics' && !maySeeMetrics()) throw new Rejection('not-found', 404, 'no such route');
    if (path !== '/metrics' && path !== '/health/live' && path !== '/health/ready') return false;
    context.route = path;
    context.delegateTo(this.#nest);
    return true;
  }

  #sendError(context: RequestContext, error: unknown): void {
    // The client closed the connection.
    if (context.isClosed && (error as { code?: unknown }).code === 'ECONNRESET') return;
    const problem = toProblem(error, context.traceId);
    // Shed requests are counted, not logged, to save time under overload.
    if (problem.code === 'overloaded') context.isShed = context.isUnrecorded = true;
    else if (problem.status >= 500 && !(error instanceof NotSupported)) this.#log.logError(context, error);
    if (error instanceof Rejection && error.retryAfter)
      context.header('retry-after', String(error.retryAfter));
    sendProblem(context, problem);
  }
}

/** @throws Rejection, after which the connection closes: its next bytes may be a smuggled request */
function checkSyntax(context: RequestContext): void {
  try {
    mustBeHttp(context.request);
  } catch (error) {
    context.header('connection', 'close');
    throw error;
  }
}

const createTooManyRequests = () =>
  new Rejection('too-many-requests', 429, `at most ${maxPerConnection} concurrent requests per connection`);
