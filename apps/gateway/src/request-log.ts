import { getSpanId } from '@jogakbo/messaging';
import { Metrics, toExemplarLabels } from '@jogakbo/service';
import { Injectable, Logger } from '@nestjs/common';
import { Histogram } from 'prom-client';
import type { RequestContext } from './request-context.ts';

const unlogged = new Set(['/health/live', '/health/ready', '/metrics']);

/** Records every request in the log and the metrics, without body and token. */
@Injectable()
export class RequestLog {
  readonly #log = new Logger('http');
  readonly #seconds: Histogram;

  constructor(metrics: Metrics) {
    this.#seconds = new Histogram({
      name: 'http_requests_seconds',
      help: 'Time from the arrival of a request to the end of its response.',
      labelNames: ['route', 'method', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers: [metrics.registry],
      enableExemplars: true,
    });
  }

  /** Must be called when the response is sent or the client is gone. */
  logRequest(context: RequestContext): void {
    const { method, route, status, traceId, requestId, memberId } = context;
    const milliseconds = performance.now() - context.startedAt;
    this.#seconds.observe({
      labels: { route, method, status: String(status) },
      value: milliseconds / 1_000,
      exemplarLabels: toExemplarLabels(traceId),
    });
    if (unlogged.has(route) || context.isShed) return;
    const ms = Math.round(milliseconds * 100) / 100;
    const line = {
      method,
      route,
      status,
      ms,
      traceId,
      spanId: getSpanId(context.trace.traceparent),
      ...(requestId !== traceId && { requestId }),
      ...(memberId && { memberId }),
    };
    this.#log.log(line, `${method} ${route} ${status}`);
  }

  logError({ method, route, traceId }: RequestContext, error: unknown): void {
    this.#log.error({ err: error, route, traceId }, `${method} ${route} failed`);
  }
}
