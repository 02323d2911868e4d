import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  decodeLogs,
  decodeMetrics,
  decodeTraces,
  type ReceivedLog,
  type ReceivedPoint,
  type ReceivedSpan,
} from './otlp/index.ts';
import { openTelemetry, type Telemetry, type TelemetryOptions } from './telemetry.ts';

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
  let answer: string;
  let telemetry: Telemetry;
  const received: ReceivedSpan[] = [];
  const logs: ReceivedLog[] = [];
  const points: ReceivedPoint[] = [];
  const requests: { url: string | undefined; type: string | undefined; key: unknown }[] = [];

  const open = (options: Partial<TelemetryOptions>) => {
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return openTelemetry({ service: 'tea', version: '1.0.0', instance: 'tea-1', endpoint, ...options });
  };

  beforeEach(async () => {
    status = 200;
    answer = '';
    received.length = logs.length = points.length = requests.length = 0;
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      const { url, headers } = request;
      requests.push({ url, type: headers['content-type'], key: headers['x-key'] });
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        if (url === '/v1/traces') received.push(...decodeTraces(body, 'protobuf').spans);
        if (url === '/v1/logs') logs.push(...decodeLogs(body, 'json').logs);
        if (url === '/v1/metrics') points.push(...decodeMetrics(body, 'json').points);
        response.writeHead(status).end(answer);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    telemetry = await open({ headers: { 'x-key': 'secret' } });
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
    expect(telemetry.lost).toEqual({ spans: 0, logs: 0, metrics: 0 });
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
    expect(telemetry.lost.spans).toBe(1);
  });

  it('counts the spans that found too many others waiting', async () => {
    for (let count = 0; count < 5_000; count += 1) telemetry.spans.start(what, parent).end();
    await telemetry.close();
    expect({ received: received.length, lost: telemetry.lost.spans }).toEqual({ received: 4_096, lost: 904 });
  });

  it('exports the lines of a log with their trace and their error', async () => {
    const line = {
      time: 1_796_043_545_633,
      service: 'tea',
      instance: 'tea-1',
      traceId,
      spanId: 'b7ad6b7169203331',
    };
    const err = { type: 'EmptyPot', message: 'no water', stack: 'EmptyPot: no water\n    at brew' };
    telemetry.logs.write(
      JSON.stringify({ ...line, level: 50, msg: 'cannot brew', context: 'Pot', ms: 1.5, err }),
    );
    telemetry.logs.write(JSON.stringify({ ...line, level: 35, msg: 'brewed', cups: [1, null, 'two'] }));
    await telemetry.close();
    expect(requests).toEqual([{ url: '/v1/logs', type: 'application/json', key: 'secret' }]);
    const common = { service: 'tea', instance: 'tea-1', version: '1.0.0', time: line.time, traceId };
    expect(logs).toEqual([
      {
        ...{ ...common, spanId: line.spanId, severity: 'error', body: 'cannot brew' },
        attributes: {
          ...{ context: 'Pot', ms: 1.5, 'exception.type': 'EmptyPot', 'exception.message': 'no water' },
          'exception.stacktrace': err.stack,
        },
      },
      { ...common, spanId: line.spanId, severity: 'info', body: 'brewed', attributes: { cups: [1, 'two'] } },
    ]);
  });

  it('counts the lines that found too many others waiting, or come after the end', async () => {
    for (let count = 0; count < 5_000; count += 1) telemetry.logs.write('{"level":30,"msg":"drop"}');
    // The first batch has left.
    expect(telemetry.lost.logs).toBe(5_000 - 4_096 - 512);
    await telemetry.close();
    expect(logs).toHaveLength(4_096 + 512);
    telemetry.logs.write('{"level":30,"msg":"drop"}');
    expect(telemetry.lost.logs).toBe(5_000 - 4_096 - 512 + 1);
  });

  it('counts the lines that are no JSON objects, and exports the others', async () => {
    for (const line of ['not JSON', 'null', '5', '{"level":30,"msg":"drop"}']) telemetry.logs.write(line);
    await telemetry.close();
    expect({ logs: logs.length, lost: telemetry.lost.logs }).toEqual({ logs: 1, lost: 3 });
  });

  it.each([
    ['refuses', 503, '', 2],
    ['accepts in part', 200, '{"partialSuccess":{"rejectedLogRecords":"1"}}', 1],
  ])('counts the lines that the collector %s', async (_how, code, text, lost) => {
    [status, answer] = [code, text];
    telemetry.logs.write('{"level":30,"msg":"drop"}');
    telemetry.logs.write('{"level":30,"msg":"drop"}');
    await telemetry.close();
    expect(telemetry.lost.logs).toBe(lost);
  });

  it('loses telemetry and nothing else if a header cannot be sent', async () => {
    const wrong = await open({ headers: { authorization: 'Bearer abc\n' }, exportEvery: 1 });
    wrong.logs.write('{"level":30,"msg":"drop"}');
    wrong.exportMetrics(() => Promise.resolve([]));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await wrong.close();
    expect(wrong.lost).toMatchObject({ logs: 1, metrics: 1 });
  });

  it('exports metrics of Prometheus, with exemplars', async () => {
    const exemplar = { labelSet: { trace_id: traceId }, value: 0.7, timestamp: 1_796_043_545.5 };
    const labels = { leaf: 'green', service: 'tea', version: '1.0.0' };
    const family = { name: 'brewing_seconds', help: 'Time.', type: 'histogram' };
    const bucket = (le: number | string, value: number) => ({
      metricName: 'brewing_seconds_bucket',
      labels: { ...labels, le },
      value,
    });
    telemetry.exportMetrics(() =>
      Promise.resolve([
        { name: 'cups_total', help: 'Cups.', type: 'counter', values: [{ value: 3, labels }] },
        {
          name: 'pot_bytes',
          help: 'Size.',
          type: 'gauge',
          values: [
            { value: 0.5, labels: {} },
            { value: NaN, labels },
          ],
        },
        {
          ...family,
          values: [
            { ...bucket(0.1, 1), exemplar: null },
            { ...bucket(1, 3), exemplar },
            bucket('+Inf', 4),
            { metricName: 'brewing_seconds_sum', labels, value: 2.5 },
            { metricName: 'brewing_seconds_count', labels, value: 4 },
          ],
        },
      ]),
    );
    await telemetry.close();
    expect(points).toMatchObject([
      { metric: 'cups_total', kind: 'counter', unit: '', value: 3, attributes: { leaf: 'green' } },
      { metric: 'pot_bytes', kind: 'gauge', unit: 'By', value: 0.5, service: 'tea', instance: 'tea-1' },
      {
        ...{ metric: 'brewing_seconds', kind: 'histogram', unit: 's', description: 'Time.', value: 2.5 },
        buckets: { bounds: [0.1, 1], counts: [1, 2, 1] },
        exemplars: [{ value: 0.7, time: 1_796_043_545_500, traceId }],
      },
    ]);
    expect(points).toHaveLength(3);
    expect(points[0]!.attributes).toEqual({ leaf: 'green' });
  });

  it('exports an exemplar once, and reads the metrics once at a time', async () => {
    const exemplar = { labelSet: { trace_id: traceId }, value: 0.7, timestamp: Date.now() / 1_000 + 0.1 };
    const bucket = { metricName: 'brewing_seconds_bucket', labels: { le: '+Inf' }, value: 1, exemplar };
    const every = await open({ exportMetricsEvery: 10 });
    let reading = 0;
    let most = 0;
    every.exportMetrics(async () => {
      most = Math.max(most, (reading += 1));
      await new Promise((resolve) => setTimeout(resolve, 100));
      reading -= 1;
      return [{ name: 'brewing_seconds', help: 'Time.', type: 'histogram', values: [bucket] }];
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await every.close();
    expect(most).toBe(1);
    expect(points.length).toBeGreaterThan(2);
    expect(points.flatMap(({ exemplars }) => exemplars).length).toBeLessThanOrEqual(2);
  });

  it('counts exports of metrics that fail', async () => {
    telemetry.exportMetrics(() => Promise.reject(new Error('the database is away')));
    await telemetry.close();
    expect(telemetry.lost.metrics).toBe(1);
  });

  it('closes in time with a collector that does not answer', async () => {
    server.removeAllListeners('request');
    telemetry.logs.write('{"level":30,"msg":"drop"}');
    telemetry.exportMetrics(() => Promise.resolve([]));
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
    expect(telemetry.lost.spans).toBe(1);
    server.listen(0, '127.0.0.1');
  });
});
