import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import compress from '@fastify/compress';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyHttpOptions, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Rejection } from '@jogakbo/contract';
import { childTraceparent, traceIdOf } from '@jogakbo/messaging';
import { Admission } from './admission.ts';
import { addressOf, isSecure } from './client-address.ts';
import { answersCors } from './cors.ts';
import { Documents } from './documents.ts';
import { Drain } from './drain.ts';
import { Forward } from './forward.ts';
import { problemHeaders, problemOf, problemOfStatus, sendProblem } from './problem.ts';
import { RequestLog, type RequestFacts } from './request-log.ts';
import { form } from './pages.ts';
import { GatewaySettings } from './settings.ts';

/** A URL longer than this is refused, before anybody looks at it. */
const longestUrl = 4_096;
const mostHeaders = 100;
/** Answers of so many bytes are compressed. */
const worthCompressing = 1_024;

const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** For those who came over TLS: for a year, come no other way. */
const onlyTls = { 'strict-transport-security': 'max-age=31536000; includeSubDomains' };

/** How the HTTP server is made. Limits that depend on settings are set by `configure`. */
export const httpOptions: FastifyHttpOptions<Server> & { skipMiddie: boolean } = {
  logger: false,
  requestIdHeader: false,
  // Whoever is on a connection already is still served while it drains.
  return503OnClosing: false,
  keepAliveTimeout: 65_000,
  // How long a request may trickle in is a setting; this is how often it is looked at.
  http: { maxHeaderSize: 16_384, connectionsCheckingInterval: 500 },
  // The router's part of errors: a URL that cannot be decoded.
  frameworkErrors: (error, _request, reply) => {
    const traceId = newTraceId();
    reply.headers({ ...securityHeaders, 'x-request-id': traceId });
    sendProblem(reply as FastifyReply, problemOf(error, traceId));
  },
  clientErrorHandler: refuseUnreadable,
  // No Nest middleware runs here.
  skipMiddie: true,
};

/** Puts the gateway's one handler on the HTTP server, beside the health routes that every service has. */
export async function configure(app: NestFastifyApplication): Promise<void> {
  const log = app.get(RequestLog);
  const admission = app.get(Admission);
  const forward = app.get(Forward);
  const documents = app.get(Documents);
  const drain = app.get(Drain);
  const { bodyLimit, arrivalTimeout, corsOrigins, trustProxy, metricsReaders } = app.get(GatewaySettings);
  const server = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  // One more than is taken, so that one too many is seen and not left out in silence.
  Object.assign(server.server, {
    ...{ headersTimeout: arrivalTimeout, requestTimeout: arrivalTimeout, maxHeadersCount: mostHeaders + 1 },
  });

  const enter = (request: FastifyRequest, reply: FastifyReply): RequestFacts => {
    const facts = log.begin(request, addressOf(request.raw, trustProxy));
    reply.headers({ ...securityHeaders, 'x-request-id': facts.requestId });
    if (isSecure(request.raw, trustProxy)) reply.headers(onlyTls);
    return facts;
  };
  server.addHook('onRequest', (request, reply, done) => {
    const { traceId, route, address } = enter(request, reply);
    const { url, rawHeaders } = request.raw;
    if (url!.length > longestUrl) sendProblem(reply, problemOfStatus(414, traceId));
    else if (rawHeaders.length > 2 * mostHeaders) sendProblem(reply, problemOfStatus(431, traceId));
    else if (url!.includes('%00')) sendProblem(reply, problemOf(badUrl, traceId));
    else if (route === '/metrics' && !metricsReaders(address, 0))
      sendProblem(reply, problemOfStatus(404, traceId));
    else if (!answersCors(corsOrigins, request, reply)) done();
  });
  await server.register(compress, {
    ...{ threshold: worthCompressing, encodings: ['br', 'gzip'], globalDecompression: false },
  });
  server.addHook('onResponse', (request, reply, done) => {
    log.end(request, reply);
    done();
  });
  // What was refused before it came to a handler of ours looks like everything else. Health speaks for itself.
  server.addHook('onSend', (request, reply, payload, done) => {
    if (drain.hasBegun) reply.header('connection', 'close');
    // Nest turns some targets (`GET *`) away before any hook of ours has run.
    const { route, traceId } = request.facts ?? enter(request, reply);
    const ours = String(reply.getHeader('content-type')).startsWith('application/problem+json');
    const speaksForItself = ours || route.startsWith('/health/') || request.admitted?.route.pages;
    if (reply.statusCode < 400 || speaksForItself) return done(null, payload);
    const problem = problemOfStatus(reply.statusCode, traceId);
    reply.removeHeader('content-length').headers(problemHeaders(problem));
    done(null, JSON.stringify(problem));
  });

  void server.register((scope, _options, registered) => {
    readBodies(scope);
    scope.setErrorHandler((error, request, reply) => {
      const problem = problemOf(error, request.facts.traceId);
      // Of what is shed there is a number, not a line each: it comes when there is too much to do.
      if (problem.code === 'overloaded') request.facts.isShed = true;
      else if (problem.status >= 500) log.fault(request, error);
      if (error instanceof Rejection && error.retryAfter) reply.header('retry-after', error.retryAfter);
      sendProblem(reply, problem);
    });
    documents.serveOn(scope);
    scope.route({
      method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
      url: '/*',
      bodyLimit,
      onRequest: (request, reply) => admission.admit(request, reply),
      handler: (request, reply) => forward.handle(request, reply),
    });
    registered();
  });
}

/**
 * JSON is the only thing that is read, and what is sent to pages, which is forms, is passed on as it is; no body at all is
 * none, whatever its announced type.
 */
function readBodies(scope: FastifyInstance): void {
  const parse = scope.getDefaultJsonParser('error', 'error');
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else if (request.admitted?.route.pages) done(unsupported);
    else parse(request, body as string, done);
  });
  scope.addContentTypeParser(form, { parseAs: 'string' }, (request, body, done) => {
    if (request.admitted?.route.pages) done(null, body);
    else done(unsupported);
  });
}

const unsupported = Object.assign(new Error('no type that is read here'), { statusCode: 415 });
const badUrl = { statusCode: 400, code: 'FST_ERR_BAD_URL' };

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
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${lines.join('')}\r\n${body}`);
}
