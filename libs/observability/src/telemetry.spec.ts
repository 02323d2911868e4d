import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeTraces, type ReceivedSpan } from './otlp/decode-traces.ts';
import { openTelemetry, type Telemetry } from './telemetry.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const parent = { traceparent: `00-${traceId}-b7ad6b7169203331-01`, tracestate: 'vendor=1' };
const what = {
  name: 'process tea.brew',
  kind: 'consumer' as const,
  attributes: { 'messaging.system': 'rabbitmq' },
};

describe('telemetry', () => {
  let server: Server;
  let status: number;
  let telemetry: Telemetry;
  const received: ReceivedSpan[] = [];
  const requests: { url: string | undefined; type: string | undefined; key: unknown }[] = [];

  beforeEach(async () => {
    status = 200;
    received.length = requests.length = 0;
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      const { url, headers } = request;
      requests.push({ url, type: headers['content-type'], key: headers['x-key'] });
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        received.push(...decodeTraces(Buffer.concat(chunks), 'protobuf').spans);
        response.writeHead(status).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    telemetry = await openTelemetry({
      service: 'tea',
      version: '1.0.0',
      instance: 'tea-1',
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      headers: { 'x-key': 'secret' },
    });
  });
  afterEach(async () => {
    await telemetry.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('exports a span with its parent, its times and the names of its instance', async () => {
    const before = Date.now();
    const span = telemetry.spans.start(what, parent);
    expect(span.trace).toEqual({
      traceparent: expect.stringMatching(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`)),
      tracestate: 'vendor=1',
    });
    span.end(undefined, { 'jogakbo.message.outcome': 'ok' });
    await telemetry.close();
    expect(requests).toEqual([{ url: '/v1/traces', type: 'application/x-protobuf', key: 'secret' }]);
    expect(received).toEqual([
      {
        traceId,
        spanId: span.trace.traceparent.split('-')[2],
        parentId: 'b7ad6b7169203331',
        service: 'tea',
        instance: 'tea-1',
        version: '1.0.0',
        name: 'process tea.brew',
        kind: 'consumer',
        start: expect.any(Number),
        duration: expect.any(Number),
        isError: false,
        attributes: { 'messaging.system': 'rabbitmq', 'jogakbo.message.outcome': 'ok' },
        events: [],
        links: [],
      },
    ]);
    expect(Math.abs(received[0]!.start - before)).toBeLessThan(5_000);
    expect(telemetry.lost).toBe(0);
  });

  it('begins a new trace without a parent, and keeps its flags in the children', async () => {
    const span = telemetry.spans.start({ ...what, kind: 'server' }, undefined);
    expect(span.trace.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-03$/);
    const child = telemetry.spans.start(what, span.trace);
    expect(child.trace.traceparent.slice(0, 36)).toBe(span.trace.traceparent.slice(0, 36));
    expect(child.trace.traceparent.slice(-2)).toBe('03');
    child.end();
    span.end();
    await telemetry.close();
    expect(received.map(({ parentId }) => parentId)).toEqual([
      span.trace.traceparent.split('-')[2],
      undefined,
    ]);
  });

  it('records a span whose parent is not sampled', async () => {
    telemetry.spans.start(what, { traceparent: parent.traceparent.replace(/01$/, '00') }).end();
    await telemetry.close();
    expect(received).toHaveLength(1);
  });

  it('marks a failed span with the type of its error', async () => {
    const span = telemetry.spans.start(what, parent);
    span.rename('process tea.pour');
    span.end('TimeoutError');
    span.end();
    await telemetry.close();
    expect(received).toMatchObject([
      { name: 'process tea.pour', isError: true, attributes: { 'error.type': 'TimeoutError' } },
    ]);
  });

  it('counts the spans that the collector refuses', async () => {
    status = 400;
    telemetry.spans.start(what, parent).end();
    await telemetry.close();
    expect(telemetry.lost).toBe(1);
  });

  it('counts the spans that found too many others waiting', async () => {
    for (let count = 0; count < 5_000; count += 1) telemetry.spans.start(what, parent).end();
    await telemetry.close();
    expect({ received: received.length, lost: telemetry.lost }).toEqual({ received: 4_096, lost: 904 });
  });

  it('closes in time with a collector that does not answer', async () => {
    server.removeAllListeners('request');
    for (let count = 0; count < 4_000; count += 1) telemetry.spans.start(what, parent).end();
    const began = performance.now();
    await telemetry.close();
    expect(performance.now() - began).toBeLessThan(6_000);
  }, 20_000);

  it('closes in time without a collector', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    telemetry.spans.start(what, parent).end();
    const began = performance.now();
    await telemetry.close();
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(telemetry.lost).toBe(1);
    server.listen(0, '127.0.0.1');
  });
});
