import { randomUUID } from 'node:crypto';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { service, type Access } from '@jogakbo/contract';
import { start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { z } from 'zod';
import { configure, httpOptions } from '../src/http-listener.ts';
import { GatewayModule } from '../src/gateway.module.ts';
import { KnownServices } from '../src/known-services.ts';
import { GatewaySettings } from '../src/settings.ts';
import { DemoModule, demoState } from './demo.ts';
import { createSigner, issuer, type Signer } from './signer.ts';
import { StubbedIdentity } from './stubbed-identity.ts';

/** Limit of concurrent requests per service. */
const maxRequests = 50;
const Announced = service('instances').event('announced', z.any());

/** An external HTTP service that records its requests. */
interface HttpService {
  url: string;
  requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  instance: string;
}

describe('services called over HTTP', () => {
  let gateway: ServiceUnderTest;
  let identity: StubbedIdentity;
  let demo: RunningService;
  let key: Signer;
  const servers: Server[] = [];
  const announced: object[] = [];
  let nth = 0;

  beforeAll(async () => {
    gateway = await ServiceUnderTest.start(
      GatewayModule,
      {
        TOKEN_ISSUER: issuer,
        IDENTITY_SERVICE: 'demo',
        REQUEST_TIMEOUT: '1000',
        RESPONSE_LIMIT: '100000',
        UPSTREAM_REQUESTS: String(maxRequests),
        LEARN_FOR: '0',
        DENIED_UPSTREAMS: '127.0.0.1:6543',
        // Two keys: a key rotation is in progress.
        SERVICE_KEY: ['a', 'b'].map((one) => Buffer.alloc(32, one).toString('base64url')).join(),
      },
      { fastify: httpOptions, configure },
    );
    identity = await StubbedIdentity.start(gateway);
    key = await createSigner('k1');
    demoState.keys = [key.publicKey];
    demo = await runDemo();
    await eventually(async () => (await call('/v1/things')).status === 200);
  });
  afterEach(async () => {
    for (const one of announced.splice(0)) await gateway.announce(Announced({ ...one, state: 'draining' }));
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  afterAll(async () => {
    await demo?.stop();
    await gateway?.stop();
  });

  const runDemo = () =>
    start(DemoModule, {
      environment: { RABBITMQ_URL: gateway.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '0.2' },
    });

  async function call(path: string, init: RequestInit = {}) {
    const response = await fetch(gateway.url + path, init);
    const text = await response.text();
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- JSON of any shape
    const body: any = /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text;
    return { status: response.status, headers: response.headers, body };
  }
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  async function startHttpService(answer?: HttpService['answer']): Promise<HttpService> {
    const one: HttpService = {
      url: '',
      requests: [],
      answer: answer ?? ((_request, response) => json(response, 200, { from: one.instance })),
      instance: `eureka:HELLO:${(nth += 1)}`,
    };
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (data) => (body += data));
      request.on('end', () => {
        one.requests.push({ method: request.method!, url: request.url!, headers: request.headers, body });
        one.answer(request, response);
      });
    });
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    one.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return one;
  }

  function json(response: ServerResponse, status: number, body: unknown, headers = {}): void {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  }

  interface AnnouncementOptions {
    name?: string;
    routes?: string[];
    access?: Access;
    interval?: number;
    state?: string;
    startedAt?: string;
    networks?: string[];
  }

  /** Announces an instance, as the registry does. */
  async function announce(
    { url, instance }: Pick<HttpService, 'url' | 'instance'>,
    options: AnnouncementOptions = {},
  ): Promise<void> {
    const { name = 'hello', access = 'public', interval = 5, state = 'up' } = options;
    const { networks = ['127.0.0.0/8'] } = options;
    const { routes = ['GET /v1/hello', 'GET /v1/hello/{name}', 'POST /v1/hello'] } = options;
    const requests = routes.map((route) => {
      const [method, path] = route.split(' ') as [string, string];
      const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      return {
        name: `${name}.${route.replace(/\W+/g, '-').replace(/-$/, '')}`,
        kind: method === 'GET' ? 'query' : 'command',
        description: '',
        access,
        input: {},
        output: {},
        rejections: {},
        idempotency: 'none',
        http: { method, path, parameters, status: 200 },
      };
    });
    const announcement = {
      service: name,
      version: '1',
      instance,
      state,
      url,
      interval,
      networks,
      upstream: 'http',
      startedAt: options.startedAt ?? new Date().toISOString(),
      contract: { service: name, description: '', requests, events: [] },
    };
    announced.push(announcement);
    await gateway.announce(Announced(announcement));
    const services = gateway.get(KnownServices);
    const getInstances = () => services.getUpstreams(name);
    // The route table is updated later. It has no HTTP routes for services on the bus.
    const isInTable = () => {
      const routes = services.externalContracts.find((one) => one.service === name)?.requests ?? [];
      return (
        name === 'demo' ||
        requests.every((one) => routes.some((other) => other.name === one.name && other.access === access))
      );
    };
    await eventually(() => {
      const found = getInstances().find((one) => one.instance === instance);
      return state === 'up'
        ? found?.contract.requests.length === requests.length && found.url === url && isInTable()
        : found === undefined;
    });
  }

  const waitForRoute = (path: string) => eventually(async () => (await call(path)).status === 200, 2_000);

  describe('a request', () => {
    it('reaches the instance unchanged, with deadline and trace context', async () => {
      const hello = await startHttpService();
      await announce(hello);
      const path = '/v1/hello/%ED%95%9C%2Fa%20b';
      const answer = await call(`${path}?x=1&x=%202`, {
        headers: {
          'accept-language': 'en',
          'if-none-match': '"1"',
          traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02',
          tracestate: 'rojo=1,congo=2',
        },
      });
      expect(answer).toMatchObject({ status: 200, body: { from: hello.instance } });
      const [received] = hello.requests;
      expect(received).toMatchObject({ method: 'GET', url: `${path}?x=1&x=%202`, body: '' });
      expect(received!.headers).toMatchObject({ 'accept-language': 'en', 'if-none-match': '"1"' });
      expect(received!.headers['traceparent']).toMatch(
        /^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-02$/,
      );
      expect(answer.headers.get('x-request-id')).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
      expect(received!.headers['tracestate']).toBe('rojo=1,congo=2');
      expect(Number(received!.headers['x-request-timeout'])).toBeGreaterThan(800);
      expect(Number(received!.headers['x-request-timeout'])).toBeLessThanOrEqual(1_000);

      await post('/v1/hello?a=b', { text: '안녕', n: [1] }, { 'idempotency-key': 'k' });
      expect(hello.requests.at(-1)).toMatchObject({ method: 'POST', url: '/v1/hello?a=b' });
      expect(JSON.parse(hello.requests.at(-1)!.body)).toEqual({ text: '안녕', n: [1] });
      expect(hello.requests.at(-1)!.headers).toMatchObject({
        'idempotency-key': 'k',
        'content-type': 'application/json',
      });
    });

    it('is forwarded with lower-case ids and NFC text', async () => {
      const hello = await startHttpService();
      await announce(hello);
      const capitals = '0190A5A0-0000-7000-8000-00000000000F';
      const decomposed = '각'.normalize('NFD');
      await call(`/v1/hello/${capitals}?x=${encodeURIComponent(decomposed)}&y=%21`);
      const composed = encodeURIComponent('각');
      expect(hello.requests[0]!.url).toBe(`/v1/hello/${capitals.toLowerCase()}?x=${composed}&y=%21`);
      await call(`/v1/hello/${encodeURIComponent(decomposed)}`);
      expect(hello.requests[1]!.url).toBe(`/v1/hello/${composed}`);
      await post('/v1/hello', { text: decomposed });
      expect(JSON.parse(hello.requests[2]!.body)).toEqual({ text: '각' });
      expect((await call('/v1/hello?x=%ff')).status).toBe(400);
      expect(hello.requests).toHaveLength(3);
    });

    it('identifies the member in headers that clients cannot forge', async () => {
      const hello = await startHttpService();
      await announce(hello, { access: 'member' });
      const token = await key.sign({ sub: 'm-1', roles: ['member', 'merchant'] });
      const forged = {
        'x-jogakbo-member': 'somebody-else',
        'X-Jogakbo-Roles': 'operator',
        'x-request-timeout': '99999999',
        'x-forwarded-for': '1.1.1.1',
        forwarded: 'for=1.1.1.1',
        'x-user-id': '1',
        cookie: 'a=b',
        'x-request-id': 'mine',
        'proxy-authorization': 'Basic x',
        te: 'trailers',
      };
      await call('/v1/hello', { headers: { ...forged, authorization: `Bearer ${token}` } });
      const { headers } = hello.requests[0]!;
      expect(headers).toMatchObject({ 'x-jogakbo-member': 'm-1', 'x-jogakbo-roles': 'member,merchant' });
      for (const name of [
        'authorization',
        'cookie',
        'forwarded',
        'x-forwarded-for',
        'x-user-id',
        'te',
        'proxy-authorization',
      ]) {
        expect(headers).not.toHaveProperty(name);
      }
      expect(headers['x-request-id']).not.toBe('mine');
      expect(Number(headers['x-request-timeout'])).toBeLessThanOrEqual(1_000);

      const open = await startHttpService();
      await announce(open, { name: 'hello-open', routes: ['GET /v1/open'] });
      await call('/v1/open', { headers: forged });
      expect(open.requests[0]!.headers).not.toHaveProperty('x-jogakbo-member');
      expect(open.requests[0]!.headers).not.toHaveProperty('x-jogakbo-roles');
    });

    it('with a revoked token is not forwarded', async () => {
      const hello = await startHttpService();
      await announce(hello, { access: 'member' });
      const sessionId = randomUUID();
      const token = await key.sign({ sid: sessionId });
      const answer = () => call('/v1/hello', { headers: { authorization: `Bearer ${token}` } });
      await eventually(async () => (await answer()).status === 200);
      await identity.revoke({ sessionId });
      await eventually(async () => (await answer()).status === 401, 1_000);
      const before = hello.requests.length;
      expect((await answer()).status).toBe(401);
      expect(hello.requests).toHaveLength(before);
    });

    it('carries a member assertion that anyone can verify', async () => {
      const hello = await startHttpService();
      await announce(hello, { access: 'member' });
      const token = await key.sign({ sub: 'm-1', roles: ['member', 'merchant'] });
      const callHello = (headers: Record<string, string>) => call('/v1/hello/kim', { headers });
      await callHello({ authorization: `Bearer ${token}`, 'x-jogakbo-assertion': token });
      const assertion = String(hello.requests[0]!.headers['x-jogakbo-assertion']);
      const keys = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/gateway-jwks.json`));
      const { payload, protectedHeader } = await jwtVerify(assertion, keys, {
        issuer,
        audience: 'hello',
        typ: 'member-assertion+jwt',
        maxTokenAge: '5s',
      });
      expect(payload).toMatchObject({ sub: 'm-1', roles: ['member', 'merchant'] });
      expect(payload['route']).toBe('GET /v1/hello/{name}');
      expect(payload.exp! - payload.iat!).toBe(60);
      expect(protectedHeader.alg).toBe('EdDSA');
      // The assertion is valid for this service only, and is not an access token.
      await expect(jwtVerify(assertion, keys, { audience: 'bye' })).rejects.toThrow('aud');
      expect((await callHello({ authorization: `Bearer ${assertion}` })).status).toBe(401);

      const open = await startHttpService();
      await announce(open, { name: 'hello-open', routes: ['GET /v1/open'] });
      await call('/v1/open', { headers: { 'x-jogakbo-assertion': assertion } });
      expect(open.requests[0]!.headers).not.toHaveProperty('x-jogakbo-assertion');
    });

    it('carries assertions that all gateways can verify', async () => {
      const fetchKeys = async (url: string) => (await fetch(`${url}/.well-known/gateway-jwks.json`)).text();
      const another = await gateway.startAnother();
      const keys = await fetchKeys(another.url);
      await another.stop();
      expect(keys).toBe(await fetchKeys(gateway.url));
      expect(keys).not.toContain('"d"');
      expect(JSON.parse(keys).keys).toHaveLength(2);
    });

    it('is subject to the access policy', async () => {
      const hello = await startHttpService();
      await announce(hello, { access: 'operator' });
      expect(await call('/v1/hello')).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
      const authorization = `Bearer ${await key.sign()}`;
      expect(await call('/v1/hello', { headers: { authorization } })).toMatchObject({ status: 403 });
      expect(hello.requests).toEqual([]);
      const operator = `Bearer ${await key.sign({ roles: ['operator'] })}`;
      expect(await call('/v1/hello', { headers: { authorization: operator } })).toMatchObject({
        status: 200,
      });
    });

    it.each(['..', '%2e%2e', '.', '..%2f..%2fadmin', '%2e%2e%5cadmin', 'a%2f..%2f..'])(
      'cannot escape its route with %s',
      async (name) => {
        const hello = await startHttpService();
        await announce(hello);
        const { hostname, port } = new URL(gateway.url);
        const { request } = await import('node:http');
        // fetch would normalise the path.
        const sent = request({ hostname, port, path: `/v1/hello/${name}` }).end();
        const [response] = (await once(sent, 'response')) as [IncomingMessage];
        response.resume();
        expect(response.statusCode).toBe(400);
        expect(hello.requests).toEqual([]);
      },
    );

    it('with a body nested too deeply is rejected', async () => {
      const hello = await startHttpService();
      await announce(hello);
      const body = '{"a":'.repeat(5_000) + '1' + '}'.repeat(5_000);
      const answer = await call('/v1/hello', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(answer.status).toBe(400);
      expect(hello.requests).toEqual([]);
    });
  });

  describe('a response', () => {
    it('is returned without internal headers', async () => {
      const hello = await startHttpService((_request, response) =>
        json(
          response,
          201,
          { made: true },
          {
            etag: '"7"',
            location: `${hello.url}/v1/hello/7`,
            'cache-control': 'public, max-age=60',
            'set-cookie': 'session=1',
            server: 'inside/1.0',
            'x-powered-by': 'magic',
            'access-control-allow-origin': '*',
            'content-security-policy': 'script-src *',
          },
        ),
      );
      await announce(hello);
      const { status, headers, body } = await post('/v1/hello', {});
      expect({ status, body }).toEqual({ status: 201, body: { made: true } });
      expect(Object.fromEntries(headers)).toMatchObject({
        etag: '"7"',
        location: '/v1/hello/7',
        'cache-control': 'no-store',
        'content-security-policy': expect.stringMatching(/^default-src 'none';.* sandbox$/),
      });
      for (const name of ['set-cookie', 'server', 'x-powered-by', 'access-control-allow-origin']) {
        expect(headers.has(name)).toBe(false);
      }
      const read = await call('/v1/hello');
      expect(read.headers.get('cache-control')).toBe('public, max-age=60');
    });

    it('to a member is private, whatever its Cache-Control', async () => {
      const hello = await startHttpService((_request, response) =>
        json(
          response,
          200,
          {},
          {
            'cache-control': 'public, max-age=31536000, immutable',
            vary: 'Accept-Language',
            expires: 'Fri, 01 Jan 2100 00:00:00 GMT',
          },
        ),
      );
      await announce(hello);
      const read = async (headers: Record<string, string>) => {
        const answer = await call('/v1/hello', { headers });
        return Object.fromEntries(
          ['cache-control', 'expires', 'vary'].map((name) => [name, answer.headers.get(name)]),
        );
      };
      expect(await read({ authorization: `Bearer ${await key.sign()}` })).toEqual({
        'cache-control': 'private, no-cache',
        expires: null,
        vary: 'Accept-Language, Authorization',
      });
      expect(await read({})).toEqual({
        'cache-control': 'public, max-age=31536000, immutable',
        expires: 'Fri, 01 Jan 2100 00:00:00 GMT',
        vary: 'Accept-Language, Authorization',
      });
    });

    it('with an error status becomes a problem document', async () => {
      const hello = await startHttpService((_request, response) =>
        json(response, 404, { stack: 'at /srv/secret.js' }),
      );
      await announce(hello);
      const plain = await call('/v1/hello');
      expect(plain).toMatchObject({ status: 404, body: { code: 'not-found', type: '/problems/not-found' } });
      expect(JSON.stringify(plain.body)).not.toContain('secret');
      expect(plain.body.traceId).toBe(plain.headers.get('x-request-id'));
      hello.answer = (_request, response) =>
        response
          .writeHead(422, { 'content-type': 'application/problem+json' })
          .end(JSON.stringify({ code: 'too-shy', detail: 'it says nothing', path: '/srv' }));
      const own = await call('/v1/hello');
      expect(own).toMatchObject({ status: 422, body: { code: 'too-shy', detail: 'it says nothing' } });
      expect(own.body).not.toHaveProperty('path');
    });

    it('has a weak ETag if the gateway compresses it, and its own ETag otherwise', async () => {
      const hello = await startHttpService((request, response) => {
        const known = request.headers['if-none-match'];
        if (known?.includes('"v1"')) return void response.writeHead(304, { etag: '"v1"' }).end();
        response
          .writeHead(200, { 'content-type': 'application/json', etag: '"v1"' })
          .end(`"${'x'.repeat(5_000)}"`);
      });
      await announce(hello);
      const read = async (headers: Record<string, string>) => {
        const answer = await call('/v1/hello', { headers });
        return [answer.status, answer.headers.get('etag')];
      };
      expect(await read({ 'accept-encoding': 'gzip' })).toEqual([200, 'W/"v1"']);
      expect(await read({ 'accept-encoding': 'identity' })).toEqual([200, '"v1"']);
      expect(await read({ 'accept-encoding': 'gzip', 'if-none-match': 'W/"v1"' })).toEqual([304, 'W/"v1"']);
      expect(await read({ 'accept-encoding': 'identity', 'if-none-match': '"v1"' })).toEqual([304, '"v1"']);
    });

    it('without a body is returned without a body', async () => {
      const hello = await startHttpService((_request, response) => response.writeHead(204).end());
      await announce(hello);
      expect(await call('/v1/hello')).toMatchObject({ status: 204, body: '' });
    });

    it('that is too large is rejected', async () => {
      const hello = await startHttpService((_request, response) => response.end('x'.repeat(200_000)));
      await announce(hello);
      expect(await call('/v1/hello')).toMatchObject({ status: 502, body: { code: 'bad-gateway' } });
    });

    it('that is late times out', async () => {
      const hello = await startHttpService((_request, response) => response.write('and then'));
      await announce(hello);
      const began = performance.now();
      expect(await call('/v1/hello')).toMatchObject({ status: 504, body: { code: 'timeout' } });
      expect(performance.now() - began).toBeLessThan(1_600);
    });
  });

  describe('a service with many slow requests', () => {
    // Requests must not time out, even on a busy machine.
    beforeEach(() => void jest.replaceProperty(gateway.get(GatewaySettings), 'requestTimeout', 20_000));
    afterEach(() => void jest.restoreAllMocks());

    const isOverloaded = ({ status, body }: { status: number; body: { code?: string } }) =>
      status === 503 && body.code === 'overloaded';

    it('has its own limit of concurrent requests', async () => {
      const waiting: ServerResponse[] = [];
      const slow = await startHttpService((_request, response) => void waiting.push(response));
      const other = await startHttpService();
      await announce(slow);
      await announce(other, { name: 'hello-other', routes: ['GET /v1/other'] });
      const answers = Array.from({ length: maxRequests }, () => call('/v1/hello'));
      await eventually(() => waiting.length === maxRequests);
      const more = await Promise.all(Array.from({ length: 5 }, () => call('/v1/hello')));
      expect(more.map(isOverloaded)).toEqual(Array(5).fill(true));
      expect(slow.requests).toHaveLength(maxRequests);
      expect((await call('/v1/other')).status).toBe(200);
      for (const response of waiting) json(response, 200, {});
      expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(maxRequests).fill(200));
      slow.answer = (_request, response) => json(response, 200, {});
      expect((await call('/v1/hello')).status).toBe(200);
    });

    it('releases the slots of disconnected clients', async () => {
      const hanging = await startHttpService(() => {});
      await announce(hanging);
      const clients = new AbortController();
      for (let n = 0; n < maxRequests; n += 1) void call('/v1/hello', clients).catch(() => {});
      await eventually(() => hanging.requests.length === maxRequests);
      clients.abort();
      hanging.answer = (_request, response) => json(response, 200, {});
      await eventually(async () => (await call('/v1/hello')).status === 200, 800);
    });

    it.each([
      ['in chunks', {}],
      ['of known length', { 'content-length': '90001' }],
    ] as [string, Record<string, string>][])(
      'has a limit of buffered response bytes: %s',
      async (_, headers) => {
        const ends: (() => void)[] = [];
        const large = await startHttpService((_request, response) => {
          response.on('error', () => {}).writeHead(200, headers);
          response.write(headers['content-length'] ? 'x' : 'x'.repeat(90_000));
          ends.push(() => response.end(headers['content-length'] ? 'x'.repeat(90_000) : ''));
        });
        await announce(large);
        // The limit is eight responses of maximum size. Others are rejected before their bodies arrive.
        let rejected = 0;
        const answers = Array.from({ length: 20 }, async () => {
          const answer = await call('/v1/hello');
          if (isOverloaded(answer)) rejected += 1;
          return answer.status;
        });
        await eventually(() => ends.length === 20 && rejected === 12);
        for (const end of ends) end();
        expect((await Promise.all(answers)).filter((status) => status === 200)).toHaveLength(8);
        large.answer = (_request, response) => json(response, 200, {});
        expect((await call('/v1/hello')).status).toBe(200);
      },
    );
  });

  describe('an instance that fails', () => {
    const failing: HttpService['answer'] = (_request, response) =>
      response.writeHead(503, { 'content-type': 'text/plain' }).end('db.internal is away');

    it('is replaced by another instance if the request is safe to retry', async () => {
      const [bad, good] = [await startHttpService(failing), await startHttpService()];
      await announce(bad);
      await announce(good);
      for (let n = 0; n < 20; n += 1) expect((await call('/v1/hello')).status).toBe(200);
      expect(bad.requests.length).toBeGreaterThan(0);
      expect(good.requests).toHaveLength(20);
    });

    it('is not retried if the request could be executed twice', async () => {
      const bad = await startHttpService(failing);
      const worse = await startHttpService((request) => request.socket.destroy());
      await announce(bad);
      await announce(worse);
      for (let n = 0; n < 4; n += 1) {
        const answer = await post('/v1/hello', {});
        expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
        expect(answer.headers.get('retry-after')).toBe('1');
        expect(JSON.stringify(answer.body)).not.toContain('internal');
      }
      expect(bad.requests.length + worse.requests.length).toBe(4);
    });

    it('is retried on another instance if the request was never sent', async () => {
      const good = await startHttpService();
      await announce({ url: 'http://127.0.0.1:1', instance: 'eureka:HELLO:unreachable' });
      await announce(good);
      for (let n = 0; n < 6; n += 1) expect((await post('/v1/hello', { n })).status).toBe(200);
      expect(good.requests).toHaveLength(6);
    });

    it('is excluded after five consecutive failures, and for longer each time', async () => {
      const [bad, good] = [await startHttpService(failing), await startHttpService()];
      await announce(bad);
      await announce(good);
      const answers = async (times: number) => {
        for (let n = 0; n < times; n += 1) expect((await call('/v1/hello')).status).toBe(200);
        return bad.requests.length;
      };
      // With two idle instances, the choice is random.
      await eventually(async () => (await answers(5)) === 5);
      expect(await answers(20)).toBe(5);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 1/);
      expect(body).toMatch(/http_upstream_requests_total\{.*outcome="failed".*\} \d/);
      await sleep(1_050);
      // One more failure excludes the instance again, now for two seconds.
      expect(await answers(20)).toBe(6);
      await sleep(1_050);
      expect(await answers(20)).toBe(6);
      await sleep(1_050);
      bad.answer = (_request, response) => json(response, 200, {});
      expect(await answers(20)).toBeGreaterThan(6);
    });

    it('is still called if all other instances are excluded', async () => {
      const all = [await startHttpService(failing), await startHttpService(failing)];
      for (const one of all) await announce(one);
      for (let n = 0; n < 10; n += 1) expect((await call('/v1/hello')).status).toBe(503);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 2/);
      for (const one of all) one.answer = (_request, response) => json(response, 200, {});
      for (let n = 0; n < 5; n += 1) expect((await call('/v1/hello')).status).toBe(200);
    });

    it('with status 500 is not excluded', async () => {
      const answer: HttpService['answer'] = (request, response) =>
        request.url!.includes('bad')
          ? response.writeHead(500, { 'content-type': 'text/plain' }).end('db.internal is away')
          : json(response, 200, {});
      const all = [await startHttpService(answer), await startHttpService(answer)];
      for (const one of all) await announce(one);
      for (let n = 0; n < 20; n += 1) {
        const bad = await call('/v1/hello/bad');
        expect(bad).toMatchObject({ status: 500, body: { code: 'internal' } });
        expect(JSON.stringify(bad.body)).not.toContain('db.internal');
      }
      // A 500 is not retried on another instance: the same program would fail again.
      expect(all[0]!.requests.length + all[1]!.requests.length).toBe(20);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 0/);
      expect((await call('/v1/hello/good')).status).toBe(200);
    });

    it('with timeouts on some inputs stays available for others', async () => {
      const hello = await startHttpService((request, response) =>
        request.url!.includes('slow') ? undefined : json(response, 200, {}),
      );
      await announce(hello);
      const late = await Promise.all(Array.from({ length: 10 }, () => call('/v1/hello/slow')));
      expect(new Set(late.map(({ status }) => status))).toEqual(new Set([504]));
      expect((await call('/v1/hello/good')).status).toBe(200);
    });
  });

  it('are chosen by the fewest open requests', async () => {
    const slow = await startHttpService(
      (_request, response) => void setTimeout(() => json(response, 200, {}), 600),
    );
    const quick = await startHttpService();
    await announce(slow);
    await announce(quick);
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        await sleep(n * 10);
        return (await call('/v1/hello')).status;
      }),
    );
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(slow.requests.length).toBeGreaterThan(0);
    expect(slow.requests.length).toBeLessThan(12);
  });

  describe('register and deregister', () => {
    it('immediately on announcement, and their routes return 503 while no instance is up', async () => {
      const hello = await startHttpService();
      await announce(hello);
      await waitForRoute('/v1/hello');
      await announce(hello, { state: 'out' });
      await eventually(async () => (await call('/v1/hello')).status === 503, 500);
      await announce(hello);
      await waitForRoute('/v1/hello');
      // The instance cancelled its registration, so the route is removed.
      await gateway.announce(Announced({ ...announced.at(-1)!, state: 'draining' }));
      await eventually(async () => (await call('/v1/hello')).status === 404, 500);
      const { paths } = (await call('/openapi.json')).body;
      expect(Object.keys(paths).filter((path) => path.startsWith('/v1/hello'))).toEqual([]);
    });

    it('one by one, and the routes are removed with the last instance', async () => {
      const [first, second] = [await startHttpService(), await startHttpService()];
      await announce(first);
      await announce(second);
      await gateway.announce(Announced({ ...announced[0]!, state: 'draining' }));
      expect((await call('/v1/hello')).status).toBe(200);
      await gateway.announce(Announced({ ...announced[1]!, state: 'draining' }));
      await eventually(async () => (await call('/v1/hello')).status === 404, 500);
    });

    it('after three missed heartbeats', async () => {
      const hello = await startHttpService();
      const began = performance.now();
      await announce(hello, { interval: 0.4 });
      await waitForRoute('/v1/hello');
      await eventually(async () => (await call('/v1/hello')).status === 503, 2_500);
      expect(performance.now() - began).toBeGreaterThan(1_100);
      // The instance may return, so its routes stay documented.
      expect((await call('/openapi.json')).body.paths).toHaveProperty('/v1/hello');
    });

    it('with changed routes', async () => {
      const hello = await startHttpService();
      await announce(hello, { routes: ['GET /v1/hello-1'] });
      await waitForRoute('/v1/hello-1');
      await announce(hello, { routes: ['GET /v1/hello-2'] });
      await waitForRoute('/v1/hello-2');
      expect((await call('/v1/hello-1')).status).toBe(404);
    });
  });

  it('cannot trigger more than ten route table updates per second', async () => {
    const hello = await startHttpService();
    await announce(hello);
    const services = gateway.get(KnownServices);
    let tables = 0;
    services.onTable(() => (tables += 1));
    const began = performance.now();
    const { instance: _, ...announcement } = announced.at(-1) as { instance: string };
    for (let n = 0; n < 300; n += 1) {
      const one = { ...announcement, instance: `eureka:HELLO:flood-${n}` };
      announced.push(one);
      await gateway.announce(Announced(one));
    }
    await eventually(() => services.getUpstreams('hello').length === 301);
    expect(tables).toBeLessThanOrEqual((performance.now() - began) / 100 + 12);
    expect((await call('/v1/things')).status).toBe(200);
  });

  describe('cannot take over', () => {
    it.each([
      ['a route of an internal service', 'aaa', 'GET /v1/things'],
      [
        'a path below a route of an internal service',
        'aaa',
        'GET /v1/things/0190a5a0-0000-7000-8000-000000000001',
      ],
      ['the JWKS route', 'aaa', 'GET /.well-known/jwks.json'],
      ['the name of an internal service', 'demo', 'GET /v1/things'],
      ['a route of the gateway', 'aaa', 'GET /health/{what}'],
      ['the root page of the gateway', 'aaa', 'GET /'],
    ])('%s', async (_, name, route) => {
      const intruder = await startHttpService();
      // An early start time and an alphabetically early name give no precedence.
      await announce(intruder, {
        name,
        routes: [route, 'GET /v1/hello'],
        startedAt: '2020-01-01T00:00:00.000Z',
      });
      if (name === 'demo') expect((await call('/v1/hello')).status).not.toBe(200);
      else await waitForRoute('/v1/hello');
      expect((await call('/v1/things')).body).toHaveProperty('seen');
      await call('/v1/things/0190a5a0-0000-7000-8000-000000000001');
      await call('/.well-known/jwks.json');
      await call('/health/live');
      expect((await call('/')).body).toHaveProperty('documentation');
      expect(intruder.requests.filter(({ url }) => url !== '/v1/hello')).toEqual([]);
      const { paths } = (await call('/openapi.json')).body;
      const operation = paths[route.split(' ')[1]!]?.get;
      expect(operation?.tags ?? []).not.toContain(name === 'demo' ? 'none' : name);
    });

    it('a route that another external service announced first', async () => {
      const [first, second] = [await startHttpService(), await startHttpService()];
      await announce(first, { name: 'hello-zzz', routes: ['GET /v1/hello-mine'] });
      await sleep(5);
      await announce(second, { name: 'hello-aaa', routes: ['GET /v1/hello-mine'] });
      for (let n = 0; n < 5; n += 1) await call('/v1/hello-mine');
      expect([first.requests.length, second.requests.length]).toEqual([5, 0]);
      const getTags = async () => (await call('/openapi.json')).body.paths['/v1/hello-mine'].get.tags;
      expect(await getTags()).toEqual(['hello-zzz']);
      // The route is released once its service is gone.
      await gateway.announce(Announced({ ...announced.at(-2)!, state: 'draining' }));
      await waitForRoute('/v1/hello-mine');
      expect(second.requests.length).toBeGreaterThan(0);
      expect(await getTags()).toEqual(['hello-aaa']);
    });
  });

  describe('are connected to only within their permitted networks', () => {
    const countDenied = async (): Promise<number> => {
      const { body } = await call('/metrics');
      return Number(/http_upstream_requests_total\{[^}]*outcome="denied"[^}]*\} (\d+)/.exec(body)?.[1] ?? 0);
    };
    const expectDenied = async (): Promise<void> => {
      const before = await countDenied();
      expect((await call('/v1/hello')).status).toBe(503);
      expect(await countDenied()).toBe(before + 1);
    };

    it.each([
      ['no network', []],
      ['another network', ['10.0.0.0/8']],
      ['all networks except loopback', ['0.0.0.0/0', '::/0']],
    ])('%s', async (_, networks) => {
      const hello = await startHttpService();
      await announce(hello, { networks });
      await expectDenied();
      expect(hello.requests).toEqual([]);
    });

    it('checked by resolved address, not by host name', async () => {
      const hello = await startHttpService();
      await announce({ ...hello, url: hello.url.replace('127.0.0.1', 'localhost') });
      await waitForRoute('/v1/hello');
      await announce(
        { ...hello, url: hello.url.replace('127.0.0.1', 'localhost') },
        { networks: ['0.0.0.0/0'] },
      );
      // The pooled connection from before is not reused.
      await expectDenied();
      expect(hello.requests).toHaveLength(1);
    });

    it('checked at every connection: DNS rebinding is rejected', async () => {
      const hello = await startHttpService((_request, response) =>
        json(response, 200, {}, { connection: 'close' }),
      );
      const answers = ['127.0.0.1'];
      const lookup = jest
        .spyOn(dns.promises, 'lookup')
        .mockImplementation((async () => [{ address: answers.at(-1), family: 4 }]) as never);
      try {
        await announce({ ...hello, url: hello.url.replace('127.0.0.1', 'rebound.test') });
        await waitForRoute('/v1/hello');
        for (const address of ['169.254.169.254', '0.0.0.0', '10.0.0.1', '::ffff:169.254.169.254']) {
          answers.push(address);
          await expectDenied();
        }
        answers.push('127.0.0.2');
        const { length } = hello.requests;
        // The service listens at 127.0.0.1 only, so the resolved address does not reach it.
        await call('/v1/hello');
        expect(hello.requests).toHaveLength(length);
      } finally {
        lookup.mockRestore();
      }
    });

    it("never to the store's own ports", async () => {
      const ports = [gateway.url, demo.url, gateway.broker.url].map((url) => new URL(url).port);
      for (const port of [...ports, '6543']) {
        for (const host of ['127.0.0.1', 'localhost', '127.0.0.2', '[::ffff:127.0.0.1]']) {
          const instance = `eureka:HELLO:${(nth += 1)}`;
          await announce({ url: `http://${host}:${port}`, instance });
          expect((await call('/v1/hello')).status).toBe(503);
          await gateway.announce(Announced({ ...announced.at(-1)!, state: 'draining' }));
        }
      }
      expect(await countDenied()).toBeGreaterThanOrEqual(16);
    });
  });

  it('are in the OpenAPI document, and not in the AsyncAPI document', async () => {
    await announce(await startHttpService());
    expect((await call('/openapi.json')).body.paths['/v1/hello/{name}'].get).toMatchObject({
      tags: ['hello'],
    });
    expect(JSON.stringify((await call('/asyncapi.json')).body)).not.toContain('hello.');
  });
});

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
