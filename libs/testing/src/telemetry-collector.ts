import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  decodeLogs,
  decodeMetrics,
  decodeTraces,
  type OtlpEncoding,
  type ReceivedLog,
  type ReceivedPoint,
  type ReceivedSpan,
} from '@jogakbo/observability/otlp';

/** A collector of OTLP over HTTP for tests, on a free port of 127.0.0.1. Each list is in the order of arrival. */
export class TelemetryCollector {
  readonly spans: ReceivedSpan[] = [];
  readonly logs: ReceivedLog[] = [];
  readonly points: ReceivedPoint[] = [];
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    const type = request.headers['content-type']!;
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.#take(request.url!, Buffer.concat(chunks), type.endsWith('json') ? 'json' : 'protobuf');
      response.writeHead(200, { 'content-type': type }).end();
    });
  });

  /** Starts it. @returns the base URL, for OTEL_EXPORTER_OTLP_ENDPOINT */
  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #take(path: string, body: Buffer, encoding: OtlpEncoding): void {
    if (path === '/v1/traces') this.spans.push(...decodeTraces(body, encoding).spans);
    if (path === '/v1/logs') this.logs.push(...decodeLogs(body, encoding).logs);
    if (path === '/v1/metrics') this.points.push(...decodeMetrics(body, encoding).points);
  }

  /** The spans of one trace. */
  getTrace(traceId: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
