import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyHttpOptions, FastifyInstance } from 'fastify';
import { type Expectation, HttpRequests } from './http-requests.ts';
import { maxHeaders } from './http-syntax.ts';
import { GatewaySettings } from './settings.ts';
import { rejectTunnel, rejectUnreadable } from './unreadable.ts';

/**
 * Milliseconds until an idle connection is closed, also one whose client does not read its responses. Longer than any
 * request may take.
 */
const idleTimeoutMs = 100_000;

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
  const { arrivalTimeout } = app.get(GatewaySettings);
  const { server } = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  // One above the limit, because Node silently drops headers beyond `maxHeadersCount`.
  Object.assign(server, {
    headersTimeout: arrivalTimeout,
    requestTimeout: arrivalTimeout,
    timeout: idleTimeoutMs,
    maxHeadersCount: maxHeaders + 1,
  });
  const [nest] = server.listeners('request') as [RequestListener];
  const requests = new HttpRequests(app, nest);
  const handle = (request: IncomingMessage, response: ServerResponse, expects?: Expectation) => {
    // An unexpected error closes only this connection.
    requests.answer(request, response, expects).catch((error: Error) => {
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
}
