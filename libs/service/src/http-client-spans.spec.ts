import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { withCall, type SpanAttributes, type Spans } from '@jogakbo/messaging';
import { HttpClientSpans } from './http-client-spans.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const call = { language: 'und', traceparent: `00-${traceId}-b7ad6b7169203331-01` };
const child = `00-${traceId}-00f067aa0ba902b7-01`;

interface Recorded {
  name: string;
  parent: string | undefined;
  attributes: SpanAttributes;
  error?: string | undefined;
}

describe('spans of HTTP requests to others', () => {
  let server: Server;
  let url: string;
  let received: IncomingHttpHeaders[];
  let recorded: Recorded[];
  let isOwn: boolean;
  let client: HttpClientSpans;

  const spans: Spans = {
    start: ({ name, attributes }, parent) => ({
      trace: { traceparent: child, tracestate: 'vendor=1' },
      rename: () => undefined,
      end: (error, more) =>
        void recorded.push({
          name,
          parent: parent?.traceparent,
          attributes: { ...attributes, ...more },
          error,
        }),
    }),
  };

  beforeEach(async () => {
    [received, recorded, isOwn] = [[], [], true];
    server = createServer((request, response) => {
      received.push(request.headers);
      response.writeHead(request.url === '/missing' ? 404 : 200).end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new HttpClientSpans(spans, () => isOwn);
    client.open();
  });
  afterEach(async () => {
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const request = async (path = '/charges?card=1', init: RequestInit = {}) =>
    withCall(call, async () => (await fetch(`${url}${path}`, init)).text());

  it('are children of the message that causes the request, which carries the trace', async () => {
    await request('/charges?card=1', { method: 'POST' });
    expect(received).toMatchObject([{ traceparent: child, tracestate: 'vendor=1' }]);
    expect(recorded).toEqual([
      {
        name: 'POST',
        parent: call.traceparent,
        attributes: {
          'http.request.method': 'POST',
          'server.address': '127.0.0.1',
          'server.port': Number(new URL(url).port),
          'url.scheme': 'http',
          'http.response.status_code': 200,
        },
        error: undefined,
      },
    ]);
  });

  it('have the status or the type of the error of a request that fails', async () => {
    await request('/missing');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await expect(request()).rejects.toThrow('fetch failed');
    expect(recorded.map(({ error }) => error)).toEqual(['404', 'ECONNREFUSED']);
    server.listen(0, '127.0.0.1');
  });

  it('are not recorded without a message, for another instance, with an own trace, and after the end', async () => {
    await fetch(url);
    await request('/', { headers: { Traceparent: child } });
    isOwn = false;
    await request();
    isOwn = true;
    client.close();
    await request();
    expect(received).toHaveLength(4);
    expect(recorded).toEqual([]);
  });
});
