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
import { DemoModule, seen } from './demo.ts';
import { issuer, signer, type Signer } from './signer.ts';
import { StubbedIdentity } from './stubbed-identity.ts';

/** To each service at once. */
const mostRequests = 50;
const Announced = service('instances').event('announced', z.any());

/** An HTTP service that knows nothing of this store, and what it was asked. */
interface Outside {
  url: string;
  asked: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  instance: string;
}

describe('services that are asked over HTTP', () => {
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
        UPSTREAM_REQUESTS: String(mostRequests),
        LEARN_FOR: '0',
        DENIED_UPSTREAMS: '127.0.0.1:6543',
        // A rotation is under way.
        SERVICE_KEY: ['a', 'b'].map((one) => Buffer.alloc(32, one).toString('base64url')).join(),
      },
      { fastify: httpOptions, configure },
    );
    identity = await StubbedIdentity.start(gateway);
    key = await signer('k1');
    seen.keys = [key.publicKey];
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
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
    const body: any = /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text;
    return { status: response.status, headers: response.headers, body };
  }
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    call(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });

  async function outside(answer?: Outside['answer']): Promise<Outside> {
    const one: Outside = {
      url: '',
      asked: [],
      answer: answer ?? ((_request, response) => json(response, 200, { from: one.instance })),
      instance: `eureka:HELLO:${(nth += 1)}`,
    };
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (data) => (body += data));
      request.on('end', () => {
        one.asked.push({ method: request.method!, url: request.url!, headers: request.headers, body });
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

  interface Said {
    name?: string;
    routes?: string[];
    access?: Access;
    interval?: number;
    state?: string;
    startedAt?: string;
    networks?: string[];
  }

  /** What a registry says on behalf of an instance. */
  async function announce(
    { url, instance }: Pick<Outside, 'url' | 'instance'>,
    said: Said = {},
  ): Promise<void> {
    const { name = 'hello', access = 'public', interval = 5, state = 'up' } = said;
    const { networks = ['127.0.0.0/8'] } = said;
    const { routes = ['GET /v1/hello', 'GET /v1/hello/{name}', 'POST /v1/hello'] } = said;
    const requests = routes.map((route) => {
      const [method, path] = route.split(' ') as [string, string];
      const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      return {
        ...{
          name: `${name}.${route.replace(/\W+/g, '-').replace(/-$/, '')}`,
          kind: method === 'GET' ? 'query' : 'command',
          description: '',
          access,
        },
        ...{ input: {}, output: {}, rejections: {}, idempotency: 'none' },
        http: { method, path, parameters, status: 200 },
      };
    });
    const announcement = {
      ...{ service: name, version: '1', instance, state, url, interval, networks },
      upstream: 'http',
      startedAt: said.startedAt ?? new Date().toISOString(),
      contract: { service: name, description: '', requests, events: [] },
    };
    announced.push(announcement);
    await gateway.announce(Announced(announcement));
    const services = gateway.get(KnownServices);
    const known = () => services.getUpstreams(name);
    // The table of routes may come a little later. A name of a service on the bus gets none.
    const isInTable = () => {
      const routes = services.foreignContracts.find((one) => one.service === name)?.requests ?? [];
      return (
        name === 'demo' ||
        requests.every((one) => routes.some((other) => other.name === one.name && other.access === access))
      );
    };
    await eventually(() => {
      const found = known().find((one) => one.instance === instance);
      return state === 'up'
        ? found?.contract.requests.length === requests.length && found.url === url && isInTable()
        : found === undefined;
    });
  }

  const isThere = (path: string) => eventually(async () => (await call(path)).status === 200, 2_000);

  describe('a request', () => {
    it('reaches the instance as it is, within its time and trace', async () => {
      const hello = await outside();
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
      const [asked] = hello.asked;
      expect(asked).toMatchObject({ method: 'GET', url: `${path}?x=1&x=%202`, body: '' });
      expect(asked!.headers).toMatchObject({ 'accept-language': 'en', 'if-none-match': '"1"' });
      expect(asked!.headers['traceparent']).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-02$/);
      expect(answer.headers.get('x-request-id')).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
      expect(asked!.headers['tracestate']).toBe('rojo=1,congo=2');
      expect(Number(asked!.headers['x-request-timeout'])).toBeGreaterThan(800);
      expect(Number(asked!.headers['x-request-timeout'])).toBeLessThanOrEqual(1_000);

      await post('/v1/hello?a=b', { text: '안녕', n: [1] }, { 'idempotency-key': 'k' });
      expect(hello.asked.at(-1)).toMatchObject({ method: 'POST', url: '/v1/hello?a=b' });
      expect(JSON.parse(hello.asked.at(-1)!.body)).toEqual({ text: '안녕', n: [1] });
      expect(hello.asked.at(-1)!.headers).toMatchObject({
        'idempotency-key': 'k',
        'content-type': 'application/json',
      });
    });

    it('has ids in lower case, and texts in NFC', async () => {
      const hello = await outside();
      await announce(hello);
      const capitals = '0190A5A0-0000-7000-8000-00000000000F';
      const decomposed = '각'.normalize('NFD');
      await call(`/v1/hello/${capitals}?x=${encodeURIComponent(decomposed)}&y=%21`);
      const composed = encodeURIComponent('각');
      expect(hello.asked[0]!.url).toBe(`/v1/hello/${capitals.toLowerCase()}?x=${composed}&y=%21`);
      await call(`/v1/hello/${encodeURIComponent(decomposed)}`);
      expect(hello.asked[1]!.url).toBe(`/v1/hello/${composed}`);
      await post('/v1/hello', { text: decomposed });
      expect(JSON.parse(hello.asked[2]!.body)).toEqual({ text: '각' });
      expect((await call('/v1/hello?x=%ff')).status).toBe(400);
      expect(hello.asked).toHaveLength(3);
    });

    it('says who the member is, and nobody else can', async () => {
      const hello = await outside();
      await announce(hello, { access: 'member' });
      const token = await key.sign({ sub: 'm-1', roles: ['member', 'merchant'] });
      const forged = {
        ...{
          'x-jogakbo-member': 'somebody-else',
          'X-Jogakbo-Roles': 'operator',
          'x-request-timeout': '99999999',
        },
        ...{ 'x-forwarded-for': '1.1.1.1', forwarded: 'for=1.1.1.1', 'x-user-id': '1', cookie: 'a=b' },
        ...{ 'x-request-id': 'mine', 'proxy-authorization': 'Basic x', te: 'trailers' },
      };
      await call('/v1/hello', { headers: { ...forged, authorization: `Bearer ${token}` } });
      const { headers } = hello.asked[0]!;
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

      const open = await outside();
      await announce(open, { name: 'hello-open', routes: ['GET /v1/open'] });
      await call('/v1/open', { headers: forged });
      expect(open.asked[0]!.headers).not.toHaveProperty('x-jogakbo-member');
      expect(open.asked[0]!.headers).not.toHaveProperty('x-jogakbo-roles');
    });

    it('with a revoked token does not reach it', async () => {
      const hello = await outside();
      await announce(hello, { access: 'member' });
      const sessionId = randomUUID();
      const token = await key.sign({ sid: sessionId });
      const answer = () => call('/v1/hello', { headers: { authorization: `Bearer ${token}` } });
      await eventually(async () => (await answer()).status === 200);
      await identity.revoke({ sessionId });
      await eventually(async () => (await answer()).status === 401, 1_000);
      const asked = hello.asked.length;
      expect((await answer()).status).toBe(401);
      expect(hello.asked).toHaveLength(asked);
    });

    it('carries what the gateway asserts about the member, for everybody to verify', async () => {
      const hello = await outside();
      await announce(hello, { access: 'member' });
      const token = await key.sign({ sub: 'm-1', roles: ['member', 'merchant'] });
      const ask = (headers: Record<string, string>) => call('/v1/hello/kim', { headers });
      await ask({ authorization: `Bearer ${token}`, 'x-jogakbo-assertion': token });
      const assertion = String(hello.asked[0]!.headers['x-jogakbo-assertion']);
      const keys = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/gateway-jwks.json`));
      const { payload, protectedHeader } = await jwtVerify(assertion, keys, {
        ...{ issuer, audience: 'hello', typ: 'member-assertion+jwt', maxTokenAge: '5s' },
      });
      expect(payload).toMatchObject({ sub: 'm-1', roles: ['member', 'merchant'] });
      expect(payload['route']).toBe('GET /v1/hello/{name}');
      expect(payload.exp! - payload.iat!).toBe(60);
      expect(protectedHeader.alg).toBe('EdDSA');
      // It is for this service alone, and no access token.
      await expect(jwtVerify(assertion, keys, { audience: 'bye' })).rejects.toThrow('aud');
      expect((await ask({ authorization: `Bearer ${assertion}` })).status).toBe(401);

      const open = await outside();
      await announce(open, { name: 'hello-open', routes: ['GET /v1/open'] });
      await call('/v1/open', { headers: { 'x-jogakbo-assertion': assertion } });
      expect(open.asked[0]!.headers).not.toHaveProperty('x-jogakbo-assertion');
    });

    it('carries assertions that every gateway of the store verifies', async () => {
      const keysAt = async (url: string) => (await fetch(`${url}/.well-known/gateway-jwks.json`)).text();
      const another = await gateway.startAnother();
      const keys = await keysAt(another.url);
      await another.stop();
      expect(keys).toBe(await keysAt(gateway.url));
      expect(keys).not.toContain('"d"');
      expect(JSON.parse(keys).keys).toHaveLength(2);
    });

    it('meets the access policy first', async () => {
      const hello = await outside();
      await announce(hello, { access: 'operator' });
      expect(await call('/v1/hello')).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
      const authorization = `Bearer ${await key.sign()}`;
      expect(await call('/v1/hello', { headers: { authorization } })).toMatchObject({ status: 403 });
      expect(hello.asked).toEqual([]);
      const operator = `Bearer ${await key.sign({ roles: ['operator'] })}`;
      expect(await call('/v1/hello', { headers: { authorization: operator } })).toMatchObject({
        status: 200,
      });
    });

    it.each(['..', '%2e%2e', '.', '..%2f..%2fadmin', '%2e%2e%5cadmin', 'a%2f..%2f..'])(
      'cannot leave its route by %s',
      async (name) => {
        const hello = await outside();
        await announce(hello);
        const { hostname, port } = new URL(gateway.url);
        const { request } = await import('node:http');
        // As it is: fetch would tidy it up.
        const asked = request({ hostname, port, path: `/v1/hello/${name}` }).end();
        const [response] = (await once(asked, 'response')) as [IncomingMessage];
        response.resume();
        expect(response.statusCode).toBe(400);
        expect(hello.asked).toEqual([]);
      },
    );

    it('of too deep a body is refused', async () => {
      const hello = await outside();
      await announce(hello);
      const body = '{"a":'.repeat(5_000) + '1' + '}'.repeat(5_000);
      const answer = await call('/v1/hello', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      expect(answer.status).toBe(400);
      expect(hello.asked).toEqual([]);
    });
  });

  describe('an answer', () => {
    it('comes back, without what is not for clients', async () => {
      const hello = await outside((_request, response) =>
        json(
          response,
          201,
          { made: true },
          {
            ...{ etag: '"7"', location: `${hello.url}/v1/hello/7`, 'cache-control': 'public, max-age=60' },
            ...{ 'set-cookie': 'session=1', server: 'inside/1.0', 'x-powered-by': 'magic' },
            ...{ 'access-control-allow-origin': '*', 'content-security-policy': 'script-src *' },
          },
        ),
      );
      await announce(hello);
      const { status, headers, body } = await post('/v1/hello', {});
      expect({ status, body }).toEqual({ status: 201, body: { made: true } });
      expect(Object.fromEntries(headers)).toMatchObject({
        ...{ etag: '"7"', location: '/v1/hello/7', 'cache-control': 'no-store' },
        'content-security-policy': expect.stringMatching(/^default-src 'none';.* sandbox$/),
      });
      for (const name of ['set-cookie', 'server', 'x-powered-by', 'access-control-allow-origin']) {
        expect(headers.has(name)).toBe(false);
      }
      const read = await call('/v1/hello');
      expect(read.headers.get('cache-control')).toBe('public, max-age=60');
    });

    it('to a member is for this member alone, whatever the service says', async () => {
      const hello = await outside((_request, response) =>
        json(
          response,
          200,
          {},
          {
            ...{ 'cache-control': 'public, max-age=31536000, immutable', vary: 'Accept-Language' },
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
        ...{ 'cache-control': 'private, no-cache', expires: null },
        vary: 'Accept-Language, Authorization',
      });
      expect(await read({})).toEqual({
        'cache-control': 'public, max-age=31536000, immutable',
        ...{ expires: 'Fri, 01 Jan 2100 00:00:00 GMT', vary: 'Accept-Language, Authorization' },
      });
    });

    it('that refuses looks like every other', async () => {
      const hello = await outside((_request, response) =>
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

    it('has a weak ETag where it is compressed on its way, and its own otherwise', async () => {
      const hello = await outside((request, response) => {
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

    it('without a body has none', async () => {
      const hello = await outside((_request, response) => response.writeHead(204).end());
      await announce(hello);
      expect(await call('/v1/hello')).toMatchObject({ status: 204, body: '' });
    });

    it('that is too large is not taken', async () => {
      const hello = await outside((_request, response) => response.end('x'.repeat(200_000)));
      await announce(hello);
      expect(await call('/v1/hello')).toMatchObject({ status: 502, body: { code: 'bad-gateway' } });
    });

    it('that does not come in time is not waited for', async () => {
      const hello = await outside((_request, response) => response.write('and then'));
      await announce(hello);
      const began = performance.now();
      expect(await call('/v1/hello')).toMatchObject({ status: 504, body: { code: 'timeout' } });
      expect(performance.now() - began).toBeLessThan(1_600);
    });
  });

  describe('a service that holds much of the gateway', () => {
    // What is held here must not end by itself, however busy the machine is.
    beforeEach(() => void jest.replaceProperty(gateway.get(GatewaySettings), 'requestTimeout', 20_000));
    afterEach(() => void jest.restoreAllMocks());

    const isOverloaded = ({ status, body }: { status: number; body: { code?: string } }) =>
      status === 503 && body.code === 'overloaded';

    it('has so many requests at once, and another one its own', async () => {
      const waiting: ServerResponse[] = [];
      const slow = await outside((_request, response) => void waiting.push(response));
      const other = await outside();
      await announce(slow);
      await announce(other, { name: 'hello-other', routes: ['GET /v1/other'] });
      const answers = Array.from({ length: mostRequests }, () => call('/v1/hello'));
      await eventually(() => waiting.length === mostRequests);
      const more = await Promise.all(Array.from({ length: 5 }, () => call('/v1/hello')));
      expect(more.map(isOverloaded)).toEqual(Array(5).fill(true));
      expect(slow.asked).toHaveLength(mostRequests);
      expect((await call('/v1/other')).status).toBe(200);
      for (const response of waiting) json(response, 200, {});
      expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(mostRequests).fill(200));
      slow.answer = (_request, response) => json(response, 200, {});
      expect((await call('/v1/hello')).status).toBe(200);
    });

    it('gives back the places of clients that are gone', async () => {
      const hanging = await outside(() => {});
      await announce(hanging);
      const gone = new AbortController();
      for (let n = 0; n < mostRequests; n += 1) void call('/v1/hello', gone).catch(() => {});
      await eventually(() => hanging.asked.length === mostRequests);
      gone.abort();
      hanging.answer = (_request, response) => json(response, 200, {});
      await eventually(async () => (await call('/v1/hello')).status === 200, 800);
    });

    it.each([
      ['that come in chunks', {}],
      ['of known length', { 'content-length': '90001' }],
    ] as [string, Record<string, string>][])('has so many bytes of answers %s', async (_, headers) => {
      const ends: (() => void)[] = [];
      const large = await outside((_request, response) => {
        response.on('error', () => {}).writeHead(200, headers);
        response.write(headers['content-length'] ? 'x' : 'x'.repeat(90_000));
        ends.push(() => response.end(headers['content-length'] ? 'x'.repeat(90_000) : ''));
      });
      await announce(large);
      // Of the largest answers eight. What is more is refused before it has come.
      let refused = 0;
      const answers = Array.from({ length: 20 }, async () => {
        const answer = await call('/v1/hello');
        if (isOverloaded(answer)) refused += 1;
        return answer.status;
      });
      await eventually(() => ends.length === 20 && refused === 12);
      for (const end of ends) end();
      expect((await Promise.all(answers)).filter((status) => status === 200)).toHaveLength(8);
      large.answer = (_request, response) => json(response, 200, {});
      expect((await call('/v1/hello')).status).toBe(200);
    });
  });

  describe('an instance that fails', () => {
    const failing: Outside['answer'] = (_request, response) =>
      response.writeHead(503, { 'content-type': 'text/plain' }).end('db.internal is away');

    it('is made good by another one where asking twice is harmless', async () => {
      const [bad, good] = [await outside(failing), await outside()];
      await announce(bad);
      await announce(good);
      for (let n = 0; n < 20; n += 1) expect((await call('/v1/hello')).status).toBe(200);
      expect(bad.asked.length).toBeGreaterThan(0);
      expect(good.asked).toHaveLength(20);
    });

    it('is not where it could be done twice', async () => {
      const bad = await outside(failing);
      const worse = await outside((request) => request.socket.destroy());
      await announce(bad);
      await announce(worse);
      for (let n = 0; n < 4; n += 1) {
        const answer = await post('/v1/hello', {});
        expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
        expect(answer.headers.get('retry-after')).toBe('1');
        expect(JSON.stringify(answer.body)).not.toContain('internal');
      }
      expect(bad.asked.length + worse.asked.length).toBe(4);
    });

    it('is for whatever was never sent', async () => {
      const good = await outside();
      await announce({ url: 'http://127.0.0.1:1', instance: 'eureka:HELLO:nobody' });
      await announce(good);
      for (let n = 0; n < 6; n += 1) expect((await post('/v1/hello', { n })).status).toBe(200);
      expect(good.asked).toHaveLength(6);
    });

    it('is left out after five times in a row, and for longer each time', async () => {
      const [bad, good] = [await outside(failing), await outside()];
      await announce(bad);
      await announce(good);
      const answers = async (times: number) => {
        for (let n = 0; n < times; n += 1) expect((await call('/v1/hello')).status).toBe(200);
        return bad.asked.length;
      };
      // Of two that are idle, chance decides.
      await eventually(async () => (await answers(5)) === 5);
      expect(await answers(20)).toBe(5);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 1/);
      expect(body).toMatch(/http_upstream_requests_total\{.*outcome="failed".*\} \d/);
      await sleep(1_050);
      // One more failure is enough now, and the second time lasts two seconds.
      expect(await answers(20)).toBe(6);
      await sleep(1_050);
      expect(await answers(20)).toBe(6);
      await sleep(1_050);
      bad.answer = (_request, response) => json(response, 200, {});
      expect(await answers(20)).toBeGreaterThan(6);
    });

    it('is asked all the same where every other one is left out, too', async () => {
      const all = [await outside(failing), await outside(failing)];
      for (const one of all) await announce(one);
      for (let n = 0; n < 10; n += 1) expect((await call('/v1/hello')).status).toBe(503);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 2/);
      for (const one of all) one.answer = (_request, response) => json(response, 200, {});
      for (let n = 0; n < 5; n += 1) expect((await call('/v1/hello')).status).toBe(200);
    });

    it('says so itself, and goes on to be asked', async () => {
      const answer: Outside['answer'] = (request, response) =>
        request.url!.includes('bad')
          ? response.writeHead(500, { 'content-type': 'text/plain' }).end('db.internal is away')
          : json(response, 200, {});
      const all = [await outside(answer), await outside(answer)];
      for (const one of all) await announce(one);
      for (let n = 0; n < 20; n += 1) {
        const bad = await call('/v1/hello/bad');
        expect(bad).toMatchObject({ status: 500, body: { code: 'internal' } });
        expect(JSON.stringify(bad.body)).not.toContain('db.internal');
      }
      // Another instance of the same program would fail, too: each was asked once.
      expect(all[0]!.asked.length + all[1]!.asked.length).toBe(20);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 0/);
      expect((await call('/v1/hello/good')).status).toBe(200);
    });

    it('by inputs for which it takes too long does not take the service away', async () => {
      const hello = await outside((request, response) =>
        request.url!.includes('slow') ? undefined : json(response, 200, {}),
      );
      await announce(hello);
      const late = await Promise.all(Array.from({ length: 10 }, () => call('/v1/hello/slow')));
      expect(new Set(late.map(({ status }) => status))).toEqual(new Set([504]));
      expect((await call('/v1/hello/good')).status).toBe(200);
    });
  });

  it('get a request each by who has the fewest', async () => {
    const slow = await outside((_request, response) => void setTimeout(() => json(response, 200, {}), 600));
    const quick = await outside();
    await announce(slow);
    await announce(quick);
    const answers = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        await sleep(n * 10);
        return (await call('/v1/hello')).status;
      }),
    );
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(slow.asked.length).toBeGreaterThan(0);
    expect(slow.asked.length).toBeLessThan(12);
  });

  describe('come and go', () => {
    it('at once when they say so, and their routes wait for them', async () => {
      const hello = await outside();
      await announce(hello);
      await isThere('/v1/hello');
      await announce(hello, { state: 'out' });
      await eventually(async () => (await call('/v1/hello')).status === 503, 500);
      await announce(hello);
      await isThere('/v1/hello');
      // It cancelled its registration: there is no such route any more.
      await gateway.announce(Announced({ ...announced.at(-1)!, state: 'draining' }));
      await eventually(async () => (await call('/v1/hello')).status === 404, 500);
      const { paths } = (await call('/openapi.json')).body;
      expect(Object.keys(paths).filter((path) => path.startsWith('/v1/hello'))).toEqual([]);
    });

    it('one after the other: only with the last one its routes go', async () => {
      const [first, second] = [await outside(), await outside()];
      await announce(first);
      await announce(second);
      await gateway.announce(Announced({ ...announced[0]!, state: 'draining' }));
      expect((await call('/v1/hello')).status).toBe(200);
      await gateway.announce(Announced({ ...announced[1]!, state: 'draining' }));
      await eventually(async () => (await call('/v1/hello')).status === 404, 500);
    });

    it('after three intervals of silence', async () => {
      const hello = await outside();
      const began = performance.now();
      await announce(hello, { interval: 0.4 });
      await isThere('/v1/hello');
      await eventually(async () => (await call('/v1/hello')).status === 503, 2_500);
      expect(performance.now() - began).toBeGreaterThan(1_100);
      // It may return, so it is still documented.
      expect((await call('/openapi.json')).body.paths).toHaveProperty('/v1/hello');
    });

    it('with other routes than before', async () => {
      const hello = await outside();
      await announce(hello, { routes: ['GET /v1/hello-1'] });
      await isThere('/v1/hello-1');
      await announce(hello, { routes: ['GET /v1/hello-2'] });
      await isThere('/v1/hello-2');
      expect((await call('/v1/hello-1')).status).toBe(404);
    });
  });

  it('cannot have the table of routes made more often than ten times a second', async () => {
    const hello = await outside();
    await announce(hello);
    const services = gateway.get(KnownServices);
    let tables = 0;
    services.onTable(() => (tables += 1));
    const began = performance.now();
    const { instance: _, ...said } = announced.at(-1) as { instance: string };
    for (let n = 0; n < 300; n += 1) {
      const one = { ...said, instance: `eureka:HELLO:flood-${n}` };
      announced.push(one);
      await gateway.announce(Announced(one));
    }
    await eventually(() => services.getUpstreams('hello').length === 301);
    expect(tables).toBeLessThanOrEqual((performance.now() - began) / 100 + 12);
    expect((await call('/v1/things')).status).toBe(200);
  });

  describe('cannot take', () => {
    it.each([
      ['a route of ours', 'aaa', 'GET /v1/things'],
      ['a corner of a route of ours', 'aaa', 'GET /v1/things/0190a5a0-0000-7000-8000-000000000001'],
      ['the keys', 'aaa', 'GET /.well-known/jwks.json'],
      ['a name of ours', 'demo', 'GET /v1/things'],
      ['a route of the gateway', 'aaa', 'GET /health/{what}'],
      ['the page of the gateway', 'aaa', 'GET /'],
    ])('%s', async (_, name, route) => {
      const thief = await outside();
      // It came first, and its name does, too.
      await announce(thief, {
        name,
        routes: [route, 'GET /v1/hello'],
        startedAt: '2020-01-01T00:00:00.000Z',
      });
      if (name === 'demo') expect((await call('/v1/hello')).status).not.toBe(200);
      else await isThere('/v1/hello');
      expect((await call('/v1/things')).body).toHaveProperty('seen');
      await call('/v1/things/0190a5a0-0000-7000-8000-000000000001');
      await call('/.well-known/jwks.json');
      await call('/health/live');
      expect((await call('/')).body).toHaveProperty('documentation');
      expect(thief.asked.filter(({ url }) => url !== '/v1/hello')).toEqual([]);
      const { paths } = (await call('/openapi.json')).body;
      const refused = paths[route.split(' ')[1]!]?.get;
      expect(refused?.tags ?? []).not.toContain(name === 'demo' ? 'nobody' : name);
    });

    it('a route of another one outside that was there first', async () => {
      const [first, second] = [await outside(), await outside()];
      await announce(first, { name: 'hello-zzz', routes: ['GET /v1/hello-mine'] });
      await sleep(5);
      await announce(second, { name: 'hello-aaa', routes: ['GET /v1/hello-mine'] });
      for (let n = 0; n < 5; n += 1) await call('/v1/hello-mine');
      expect([first.asked.length, second.asked.length]).toEqual([5, 0]);
      const getTags = async () => (await call('/openapi.json')).body.paths['/v1/hello-mine'].get.tags;
      expect(await getTags()).toEqual(['hello-zzz']);
      // Who has gone holds nothing.
      await gateway.announce(Announced({ ...announced.at(-2)!, state: 'draining' }));
      await isThere('/v1/hello-mine');
      expect(second.asked.length).toBeGreaterThan(0);
      expect(await getTags()).toEqual(['hello-aaa']);
    });
  });

  describe('are connected to only where their networks permit', () => {
    const denied = async (): Promise<number> => {
      const { body } = await call('/metrics');
      return Number(/http_upstream_requests_total\{[^}]*outcome="denied"[^}]*\} (\d+)/.exec(body)?.[1] ?? 0);
    };
    const isDenied = async (): Promise<void> => {
      const before = await denied();
      expect((await call('/v1/hello')).status).toBe(503);
      expect(await denied()).toBe(before + 1);
    };

    it.each([
      ['no network', []],
      ['another network', ['10.0.0.0/8']],
      ['every network, and none that is loopback', ['0.0.0.0/0', '::/0']],
    ])('%s', async (_, networks) => {
      const hello = await outside();
      await announce(hello, { networks });
      await isDenied();
      expect(hello.asked).toEqual([]);
    });

    it('by the address of the name, and not by the name', async () => {
      const hello = await outside();
      await announce({ ...hello, url: hello.url.replace('127.0.0.1', 'localhost') });
      await isThere('/v1/hello');
      await announce(
        { ...hello, url: hello.url.replace('127.0.0.1', 'localhost') },
        { networks: ['0.0.0.0/0'] },
      );
      // A connection of before is not used either.
      await isDenied();
      expect(hello.asked).toHaveLength(1);
    });

    it('at every connection: a name that later means another address is not followed', async () => {
      const hello = await outside((_request, response) => json(response, 200, {}, { connection: 'close' }));
      const answers = ['127.0.0.1'];
      const lookup = jest
        .spyOn(dns.promises, 'lookup')
        .mockImplementation((async () => [{ address: answers.at(-1), family: 4 }]) as never);
      try {
        await announce({ ...hello, url: hello.url.replace('127.0.0.1', 'rebound.test') });
        await isThere('/v1/hello');
        for (const address of ['169.254.169.254', '0.0.0.0', '10.0.0.1', '::ffff:169.254.169.254']) {
          answers.push(address);
          await isDenied();
        }
        answers.push('127.0.0.2');
        const { length } = hello.asked;
        // It listens at 127.0.0.1 alone: connected to what was resolved, and to nothing else.
        await call('/v1/hello');
        expect(hello.asked).toHaveLength(length);
      } finally {
        lookup.mockRestore();
      }
    });

    it("not to the store's own ports", async () => {
      const ports = [gateway.url, demo.url, gateway.broker.url].map((url) => new URL(url).port);
      for (const port of [...ports, '6543']) {
        for (const host of ['127.0.0.1', 'localhost', '127.0.0.2', '[::ffff:127.0.0.1]']) {
          const instance = `eureka:HELLO:${(nth += 1)}`;
          await announce({ url: `http://${host}:${port}`, instance });
          expect((await call('/v1/hello')).status).toBe(503);
          await gateway.announce(Announced({ ...announced.at(-1)!, state: 'draining' }));
        }
      }
      expect(await denied()).toBeGreaterThanOrEqual(16);
    });
  });

  it('stand in the OpenAPI document, and not on the bus', async () => {
    await announce(await outside());
    expect((await call('/openapi.json')).body.paths['/v1/hello/{name}'].get).toMatchObject({
      tags: ['hello'],
    });
    expect(JSON.stringify((await call('/asyncapi.json')).body)).not.toContain('hello.');
  });
});

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
