import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeTraces, type ReceivedSpan } from '@jogakbo/observability/otlp';

/** A collector of OTLP over HTTP for tests, on a free port of 127.0.0.1. */
export class SpanCollector {
  /** All spans, in the order in which they arrived. */
  readonly spans: ReceivedSpan[] = [];
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.spans.push(...decodeTraces(Buffer.concat(chunks), 'protobuf').spans);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });

  /** Starts it. @returns the base URL, for OTEL_EXPORTER_OTLP_ENDPOINT */
  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
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
