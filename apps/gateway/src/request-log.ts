import { childTraceparent, traceIdOf } from '@jogakbo/messaging';
import { Metrics } from '@jogakbo/service';
import { Injectable, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Histogram } from 'prom-client';
import { requestIdOf } from './headers.ts';

/** What is known of a request while it is on its way. */
export interface RequestFacts {
  traceparent: string;
  traceId: string;
  /** The client's own name for the request, or else the trace id. */
  requestId: string;
  /** Where it comes from, as far as one can know. */
  address: string;
  startedAt: number;
  /** The pattern of its route: never the path itself, which anybody can make up. */
  route: string;
  memberId?: string | undefined;
  /** It was refused because there is too much to do: of these there is a number (`Load`), and no line each. */
  isShed?: boolean;
}

declare module 'fastify' {
  interface FastifyRequest {
    facts: RequestFacts;
  }
}

const quiet = new Set(['/health/live', '/health/ready', '/metrics']);

/** Keeps the account of every request: one line in the log, one observation in the metrics, no body and no token. */
@Injectable()
export class RequestLog {
  readonly #log = new Logger('http');
  readonly #seconds: Histogram;

  constructor(metrics: Metrics) {
    this.#seconds = new Histogram({
      name: 'http_requests_seconds',
      help: 'Time from the arrival of a request to the end of its answer.',
      labelNames: ['route', 'method', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [metrics.registry],
    });
  }

  begin(request: FastifyRequest, address: string): RequestFacts {
    const { traceparent: given } = request.headers;
    const traceparent = childTraceparent(typeof given === 'string' ? given : undefined);
    const route = request.routeOptions.url ?? '/*';
    const traceId = traceIdOf(traceparent)!;
    request.facts = {
      traceparent,
      traceId,
      requestId: requestIdOf(request.headers['x-request-id']) ?? traceId,
      address,
      startedAt: performance.now(),
      route: route === '/*' || route === '*' ? 'unknown' : route,
    };
    return request.facts;
  }

  end(request: FastifyRequest, reply: FastifyReply): void {
    const { method, facts } = request;
    const { route, traceId, requestId, memberId } = facts;
    const milliseconds = performance.now() - facts.startedAt;
    const status = reply.statusCode;
    this.#seconds.observe({ route, method, status: String(status) }, milliseconds / 1_000);
    if (quiet.has(route) || facts.isShed) return;
    const ms = Math.round(milliseconds * 100) / 100;
    const line = {
      ...{ method, route, status, ms, traceId },
      ...(requestId !== traceId && { requestId }),
      ...(memberId && { memberId }),
    };
    this.#log.log(line, `${method} ${route} ${status}`);
  }

  fault(request: FastifyRequest, error: unknown): void {
    const { route, traceId } = request.facts;
    this.#log.error({ err: error, route, traceId }, `${request.method} ${route} failed`);
  }
}
