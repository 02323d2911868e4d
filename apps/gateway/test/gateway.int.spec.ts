import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { start, type RunningService } from '@jogakbo/service';
import { eventually, ServiceUnderTest } from '@jogakbo/testing';
import { z } from 'zod';
import { configure, httpOptions } from '../src/door.ts';
import { GatewayModule } from '../src/gateway.module.ts';
import { DemoModule, LateModule, seen } from './demo.ts';
import { issuer, signer, unsigned, type Signer } from './tokens.ts';

const id = '0190a5a0-0000-7000-8000-000000000001';
const json = { 'content-type': 'application/json' };

describe('gateway', () => {
  let gateway: ServiceUnderTest;
  let demo: RunningService;
  let key: Signer;
  let member: string;
  let merchant: string;
  let operator: string;
  let whileLearning: Answer;

  const run = (module: typeof DemoModule) =>
    start(module, {
      environment: { RABBITMQ_URL: gateway.broker.url, LOG_LEVEL: 'error', ANNOUNCE_EVERY: '0.2' },
    });

  beforeAll(async () => {
    gateway = await ServiceUnderTest.start(
      GatewayModule,
      {
        TOKEN_ISSUER: issuer,
        REQUEST_TIMEOUT: '1000',
        READY_ROUTES: 'POST /v1/jobs, GET /v1/things',
        LEARN_FOR: '0.5',
      },
      { fastify: httpOptions, configure },
    );
    expect((await call('/health/ready')).status).toBe(503);
    whileLearning = await call('/v1/things');
    key = await signer('k1');
    seen.keys = [key.publicKey];
    demo = await run(DemoModule);
    await eventually(async () => (await call('/health/ready')).status === 200);
    member = await key.sign();
    merchant = await key.sign({ sub: 'm-2', roles: ['member', 'merchant'] });
    operator = await key.sign({ sub: 'm-3', roles: ['operator'] });
  });
  afterAll(async () => {
    await demo?.stop();
    await gateway?.stop();
  });

  interface Answer {
    status: number;
    headers: Headers;
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what came over the wire
    body: any;
  }

  async function call(
    path: string,
    options: { method?: string; token?: string; headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answer> {
    const { method = options.body === undefined ? 'GET' : 'POST', token, body } = options;
    const response = await fetch(gateway.url + path, {
      method,
      headers: {
        ...(body !== undefined && json),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...options.headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text ? tryJson(text) : undefined };
  }

  const tryJson = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  };

  /** Every error looks like this, wherever it came from. */
  function expectProblem(answer: Answer, status: number, code: string, field?: string): void {
    expect({ status: answer.status, body: answer.body }).toMatchObject({
      status,
      body: { status, code, type: `/problems/${code}`, title: expect.any(String) },
    });
    expect(answer.body.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    expect(answer.headers.get('x-request-id')).toBe(answer.body.traceId);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    if (field) expect(answer.body.errors).toContainEqual({ path: field, message: expect.any(String) });
  }

  let orders = 0;
  const begin = (body: object, headers: Record<string, string> = {}) =>
    call('/v1/jobs', {
      token: member,
      body: { lines: [{ quantity: 1 }], ...body },
      headers: { 'idempotency-key': `key-${++orders}`, ...headers },
    });

  describe('answers', () => {
    it('reads path and query by the contract', async () => {
      const { status, body } = await call('/v1/things?limit=7&sold=true&tag=a&tag=b&name=12');
      expect(status).toBe(200);
      expect(body.seen).toEqual({ limit: 7, sold: true, tag: ['a', 'b'], name: '12' });
    });

    it('speaks the language that was asked for, and says so', async () => {
      const answer = await call(`/v1/things/${id}`, {
        headers: { 'accept-language': 'fr, en;q=0.8, ko;q=0.5' },
      });
      expect(answer.body).toEqual({ thingId: id, text: 'hello', version: 3 });
      expect(answer.headers.get('content-language')).toBe('en');
      expect(answer.headers.get('vary')).toBe('Accept-Language');
      expect(answer.headers.get('cache-control')).toBe('no-cache');
      expect((await call(`/v1/things/${id}`)).body.text).toBe('안녕');
    });

    it('gives an ETag per language, and 304 to whoever has it', async () => {
      const etag = (await call(`/v1/things/${id}`)).headers.get('etag')!;
      expect(etag).toBe('"3.ko"');
      const again = await call(`/v1/things/${id}`, { headers: { 'if-none-match': `"1.ko", W/${etag}` } });
      expect(again).toMatchObject({ status: 304, body: undefined });
      expect(again.headers.get('etag')).toBe(etag);
      const english = { 'if-none-match': etag, 'accept-language': 'en' };
      expect((await call(`/v1/things/${id}`, { headers: english })).status).toBe(200);
    });

    it('answers 204 where there is no output, and takes an empty body', async () => {
      const gone = await call(`/v1/things/${id}`, { method: 'DELETE', token: operator, headers: json });
      expect(gone).toMatchObject({ status: 204, body: undefined });
    });

    it('carries the trace on', async () => {
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const answer = await call('/v1/things', {
        headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
      });
      expect(answer.headers.get('x-request-id')).toBe(traceId);
      expect(seen.contexts.at(-1)!.traceparent).toContain(traceId);
    });

    it('answers HEAD like GET, without the body', async () => {
      const answer = await call(`/v1/things/${id}`, { method: 'HEAD' });
      expect(answer).toMatchObject({ status: 200, body: undefined });
      expect(answer.headers.get('etag')).toBe('"3.ko"');
    });

    it('shows its own numbers by route pattern', async () => {
      await call(`/v1/things/${id}`);
      const metrics = (await call('/metrics')).body as string;
      const counted = metrics.split('\n').filter((line) => line.startsWith('http_requests_seconds_count'));
      expect(counted.join('\n')).toMatch(/route="\/v1\/things\/\{thingId\}",method="GET",status="200"/);
      expect(counted.join('\n')).not.toContain(id);
    });
  });

  describe('If-Match', () => {
    const change = (headers: Record<string, string>, body: object = { text: 'new' }) =>
      call(`/v1/things/${id}`, { method: 'PATCH', token: merchant, headers, body });

    it('is the version that is changed', async () => {
      const answer = await change({ 'if-match': '"3.ko"' });
      expect(answer).toMatchObject({ status: 200, body: { version: 4 } });
      expect(answer.headers.get('etag')).toBe('"4.ko"');
      expect((await change({ 'if-match': '"3"' })).status).toBe(200);
    });

    it('loses the race with 412', async () => {
      expectProblem(await change({ 'if-match': '"2"' }), 412, 'version-changed');
    });

    it('is demanded', async () => {
      expectProblem(await change({}), 428, 'precondition-required');
    });

    it.each(['*', '3', 'W/"3"', '"x"', '"3", "4"'])('refuses %s', async (value) => {
      expectProblem(await change({ 'if-match': value }), 400, 'invalid', 'If-Match');
    });

    it('cannot come with the body', async () => {
      expectProblem(
        await change({ 'if-match': '"3"' }, { text: 'x', version: 3 }),
        400,
        'invalid',
        'version',
      );
      expectProblem(
        await change({ 'if-match': '"3"' }, { text: 'x', thingId: id }),
        400,
        'invalid',
        'thingId',
      );
    });
  });

  describe('tokens', () => {
    const me = (token?: string) => call('/v1/me', token === undefined ? {} : { token });

    it('say who the caller is', async () => {
      expect((await me(member)).body).toEqual({ memberId: 'm-1', sessionId: 's-1', language: 'ko' });
    });

    it('are needed where the route is not public', async () => {
      const answer = await me();
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    });

    it('are refused when forged, expired or foreign, on public routes too', async () => {
      const now = Math.floor(Date.now() / 1_000);
      const stranger = await signer('k1');
      const unknown = await signer('k-unknown');
      const [head, , signature] = member.split('.');
      const body = Buffer.from(JSON.stringify({ iss: issuer, aud: 'jogakbo', sub: 'm-9', exp: now + 60 }));
      const bad: Record<string, string> = {
        unsigned: unsigned({ roles: ['operator'] }),
        'unsigned, with a signature': unsigned({}) + signature,
        'of another key with the same name': await stranger.sign(),
        'of an unknown key': await unknown.sign(),
        expired: await key.sign({ exp: now - 1 }),
        'without end': await key.sign({ exp: undefined }),
        'not valid yet': await key.sign({ nbf: now + 60 }),
        'for somebody else': await key.sign({ aud: 'another' }),
        'of another issuer': await key.sign({ iss: 'http://evil.test' }),
        'without subject': await key.sign({ sub: undefined }),
        changed: `${head}.${body.toString('base64url')}.${signature}`,
        cut: member.slice(0, -4),
        nonsense: 'nonsense',
        empty: '',
      };
      for (const [what, token] of Object.entries(bad)) {
        const answers = [await me(token), await call('/v1/things', { token })];
        expect({ what, status: answers.map(({ status }) => status) }).toEqual({ what, status: [401, 401] });
        expectProblem(answers[0]!, 401, 'unauthenticated');
      }
      const basic = await call('/v1/things', { headers: { authorization: 'Basic YTpi' } });
      expectProblem(basic, 401, 'unauthenticated');
      expect((await me(member)).status).toBe(200);
    });

    it('end when they end, though they were seen before', async () => {
      const short = await key.sign({ exp: Math.floor(Date.now() / 1_000) + 2 });
      expect((await me(short)).status).toBe(200);
      await eventually(async () => (await me(short)).status === 401);
    });

    it('of a key that is new are taken', async () => {
      const next = await signer('k2', 'EdDSA');
      seen.keys = [key.publicKey, next.publicKey];
      const token = await next.sign({ sub: 'm-7' });
      // An unknown key was shown a moment ago: it may have to cool down first.
      await eventually(async () => (await me(token)).body.memberId === 'm-7');
    }, 20_000);

    it('open what their roles open', async () => {
      const remove = (token?: string) =>
        call(`/v1/things/${id}`, { method: 'DELETE', ...(token && { token }) });
      expectProblem(await remove(), 401, 'unauthenticated');
      expectProblem(await remove(member), 403, 'forbidden');
      expectProblem(await remove(merchant), 403, 'forbidden');
      expect((await remove(operator)).status).toBe(204);
      expectProblem(
        await call(`/v1/things/${id}`, { method: 'PATCH', token: operator, body: { text: 'x' } }),
        403,
        'forbidden',
      );
    });

    it('open what is theirs, and nothing else', async () => {
      expect((await call('/v1/owned/m-1', { token: member })).body).toEqual({ yours: true });
      expectProblem(await call('/v1/owned/m-2', { token: member }), 404, 'not-found');
    });

    it('are the only thing that says who the caller is', async () => {
      const caller = JSON.stringify({ memberId: 'm-0', roles: ['operator'] });
      const headers = {
        caller,
        'x-caller': caller,
        'x-member-id': 'm-0',
        'x-user-id': 'm-0',
        language: 'en',
      };
      await call('/v1/things', { headers });
      expect(seen.contexts.at(-1)).toMatchObject({ language: 'ko' });
      expect(seen.contexts.at(-1)!.caller).toBeUndefined();
      expectProblem(await call('/v1/me', { headers }), 401, 'unauthenticated');
    });
  });

  describe('bad input', () => {
    it.each([
      ['an unknown field', { colour: 'red' }, 'colour'],
      ['a wrong type', { takes: 'soon' }, 'takes'],
      ['a wrong type inside', { lines: [{ quantity: '1' }] }, 'lines.0.quantity'],
      ['an unknown field inside', { lines: [{ quantity: 1, price: 0 }] }, 'lines.0.price'],
      ['zero', { lines: [{ quantity: 0 }] }, 'lines.0.quantity'],
      ['a negative number', { lines: [{ quantity: -1 }] }, 'lines.0.quantity'],
      ['too much', { lines: [{ quantity: 10 }] }, 'lines.0.quantity'],
      ['nothing', { lines: [] }, 'lines'],
    ])('names the field: %s', async (_, body, field) => {
      const before = seen.begun.length;
      expectProblem(await begin(body), 400, 'invalid', field);
      expect(seen.begun).toHaveLength(before);
    });

    it('names the query parameter', async () => {
      expectProblem(await call('/v1/things?limit=0'), 400, 'invalid', 'limit');
      expectProblem(await call('/v1/things?limit=1e2'), 400, 'invalid', 'limit');
      expectProblem(await call('/v1/things?limit='), 400, 'invalid', 'limit');
      expectProblem(await call('/v1/things?limit=1&limit=2'), 400, 'invalid', 'limit');
      expectProblem(await call('/v1/things?colour=red'), 400, 'invalid', 'colour');
      expectProblem(await call('/v1/things?__proto__=x'), 400, 'invalid', '__proto__');
      expectProblem(await call(`/v1/things/${id}?thingId=${id}`), 400, 'invalid', 'thingId');
      expectProblem(await call('/v1/things/not-an-id'), 400, 'invalid', 'thingId');
      expectProblem(await call('/v1/failures?how=throw', { body: {} }), 400, 'invalid', 'how');
      expectProblem(
        await call(`/v1/things/${id}`, { method: 'DELETE', token: operator, body: { sure: true } }),
        400,
        'invalid',
        'sure',
      );
    });

    const post = (body: string, headers: Record<string, string> = json) =>
      call('/v1/jobs', {
        method: 'POST',
        token: member,
        headers: { 'idempotency-key': 'bad', ...headers },
        body,
      });

    it.each(['{', '{"a":1,}', "{'a':1}", 'undefined', '{"a":NaN}', '\u0000'])(
      'refuses broken JSON: %j',
      async (body) => {
        expectProblem(await post(body), 400, 'invalid-json');
      },
    );

    it.each(['{"__proto__":{"admin":true}}', '{"lines":[{"constructor":{"prototype":{"a":1}}}]}'])(
      'refuses what would poison a prototype: %s',
      async (body) => {
        expectProblem(await post(body), 400, 'invalid-json');
      },
    );

    it.each(['[]', '"text"', '1', 'null', 'true'])('refuses a body that is no object: %s', async (body) => {
      expectProblem(await post(body), 400, 'invalid');
    });

    it('refuses a body that is nested without end', async () => {
      const depth = 10_000;
      expectProblem(await post(`{"lines":${'['.repeat(depth)}${']'.repeat(depth)}}`), 400, 'invalid');
    });

    it('names what is missing when there is no body', async () => {
      const answer = await call('/v1/jobs', {
        method: 'POST',
        token: member,
        headers: { 'idempotency-key': 'none' },
      });
      expectProblem(answer, 400, 'invalid', 'lines');
    });

    it('refuses what is no JSON', async () => {
      for (const type of [
        'text/plain',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'x',
      ]) {
        expectProblem(await post('{}', { 'content-type': type }), 415, 'unsupported-media-type');
      }
    });

    it('refuses huge bodies, announced or not', async () => {
      expectProblem(await post(JSON.stringify({ token: 'x'.repeat(65_536) })), 413, 'payload-too-large');
      const answer = await raw(
        'POST /v1/failures HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n' +
          `11000\r\n${'x'.repeat(0x11000)}\r\n0\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 413 /);
      expect(answer).toContain('payload-too-large');
    });

    it('refuses long URLs, long headers, and what is no HTTP', async () => {
      expectProblem(await call(`/v1/things?name=${'x'.repeat(5_000)}`), 414, 'uri-too-long');
      const headers = await raw(`GET /v1/things HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
      expect(headers).toMatch(/^HTTP\/1.1 431 /);
      expect(headers).toContain('"code":"headers-too-large"');
      const nonsense = await raw('EHLO store\r\n\r\n');
      expect(nonsense).toMatch(/^HTTP\/1.1 400 [^]*application\/problem\+json/);
    });

    it('refuses a URL that cannot be decoded', async () => {
      expectProblem(await call('/v1/things/%zz'), 400, 'invalid-url');
      expectProblem(await call('/v1/owned/%E0%A4%A', { token: member }), 400, 'invalid-url');
    });

    it('passes on the "no" of a service', async () => {
      const answer = await begin({ token: 'tok_unknown' });
      expectProblem(answer, 422, 'unknown-token', 'token');
      expect(answer.body).toMatchObject({ detail: 'no such token', title: 'Unknown token' });
    });

    it('wants an Idempotency-Key, and a decent one', async () => {
      const body = { lines: [{ quantity: 1 }] };
      expectProblem(await call('/v1/jobs', { token: member, body }), 400, 'idempotency-key-missing');
      for (const bad of ['', 'two words', 'ü', 'x'.repeat(256)]) {
        expectProblem(await begin({}, { 'idempotency-key': bad }), 400, 'invalid', 'Idempotency-Key');
      }
      expect((await begin({}, { 'idempotency-key': '"chosen-by-me"' })).status).toBe(202);
      expect(seen.begun.at(-1)!.key).toBe('"chosen-by-me"');
    });
  });

  describe('routes', () => {
    it('that were not heard of yet are not denied', () => expectProblem(whileLearning, 503, 'unavailable'));

    it('that nobody announced are not there', async () => {
      for (const path of ['/', '/v1/nothing', '/v1/things/', '/v1//things', '/v1/things/x/y', '/V1/things']) {
        expectProblem(await call(path), 404, 'not-found');
      }
    });

    it('cannot be tricked by the form of a path', async () => {
      for (const target of ['/v1/../v1/things', '/v1/%2e%2e/v1/things', '//v1/things', 'v1/things', '*']) {
        const answer = await raw(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
        expect({ target, answer }).toEqual({
          target,
          answer: expect.stringMatching(/^HTTP\/1.1 40[04] [^]*"code":"(not-found|invalid-request)"/),
        });
        expect(answer).toMatch(/x-content-type-options: nosniff/i);
      }
    });

    it('without HTTP binding cannot be reached', async () => {
      for (const path of ['/inside', '/demo.inside', '/v1/demo.inside']) {
        expectProblem(await call(path), 404, 'not-found');
      }
    });

    it('say which methods they have', async () => {
      const answer = await call(`/v1/things/${id}`, { method: 'PUT', body: {} });
      expectProblem(answer, 405, 'method-not-allowed');
      expect(answer.headers.get('allow')).toBe('HEAD, GET, PATCH, DELETE, OPTIONS');
      const options = await call('/v1/things', { method: 'OPTIONS' });
      expect({ status: options.status, allow: options.headers.get('allow') }).toEqual({
        status: 204,
        allow: 'HEAD, GET, OPTIONS',
      });
      expectProblem(await call('/health/live', { method: 'POST', body: {} }), 405, 'method-not-allowed');
      expect(
        (await raw('PROPFIND /v1/things HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).slice(0, 12),
      ).toBe('HTTP/1.1 404');
    });

    it('are live as soon as they are announced, and answer 503 while their service is away', async () => {
      expectProblem(await call('/v1/late'), 404, 'not-found');
      const late = await run(LateModule);
      await eventually(async () => (await call('/v1/late')).status === 200, 2_000);
      expect((await call('/openapi.json')).body.paths).toHaveProperty('/v1/late');
      await late.stop();
      const away = await call('/v1/late');
      expectProblem(away, 503, 'unavailable');
      expect(away.headers.get('retry-after')).toBe('1');
      const back = await run(LateModule);
      await eventually(async () => (await call('/v1/late')).status === 200, 2_000);
      await back.stop();
    });

    it('of an instance that fell silent answer 503', async () => {
      const instances = service('instances').event('announced', z.any());
      await gateway.announce(
        instances({
          service: 'killed',
          version: '1',
          instance: 'killed-1',
          state: 'up',
          url: 'http://127.0.0.1:1',
          startedAt: new Date().toISOString(),
          interval: 0.2,
          contract: {
            service: 'killed',
            description: '',
            requests: [
              {
                name: 'killed.ask',
                kind: 'query',
                description: '',
                input: {},
                output: {},
                rejections: {},
                idempotency: 'none',
                access: 'member',
                http: { method: 'GET', path: '/v1/killed', parameters: [], status: 200 },
              },
            ],
            events: [],
          },
        }),
      );
      await eventually(async () => (await call('/v1/killed', { token: member })).status === 503, 2_000);
      await new Promise((resolve) => setTimeout(resolve, 1_200));
      expectProblem(await call('/v1/killed', { token: member }), 503, 'unavailable');
      expectProblem(await call('/v1/killed'), 401, 'unauthenticated');
    });

    it('show nothing of the inside when they fail', async () => {
      const failed = await call('/v1/failures', { body: { how: 'throw' } });
      expectProblem(failed, 500, 'internal');
      expect(JSON.stringify(failed.body)).not.toMatch(/hunter2|db\.internal|demo|stack/);
      expect(failed.body.detail).toBeUndefined();
      const late = await call('/v1/failures', { body: { how: 'hang' } });
      expectProblem(late, 504, 'timeout');
      expect(JSON.stringify(late.body)).not.toContain('demo');
    });
  });

  describe('Prefer: wait', () => {
    const wait = (seconds: number) => ({ prefer: `respond-async, wait=${seconds}` });

    it('answers at once where it is not given', async () => {
      const answer = await begin({ takes: 200 });
      expect(answer).toMatchObject({ status: 202, body: { status: 'begun' } });
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
      expect(answer.headers.get('cache-control')).toBe('no-store');
    });

    it('answers with the end, as soon as it is announced', async () => {
      const startedAt = performance.now();
      const answer = await begin({ takes: 120 }, wait(5));
      expect(answer).toMatchObject({ status: 201, body: { status: 'ended', result: 'done' } });
      expect(performance.now() - startedAt).toBeLessThan(400);
      expect(answer.headers.get('preference-applied')).toBe('wait=5');
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
    });

    it('answers with an end that was announced before the reply', async () => {
      expect(await begin({ takes: 0 }, wait(5))).toMatchObject({ status: 201, body: { status: 'ended' } });
    });

    it('finds an end of which it did not hear', async () => {
      expect(await begin({ takes: 100, silent: true }, wait(5))).toMatchObject({ status: 201 });
    });

    it('gives the plain answer when it takes too long', async () => {
      const startedAt = performance.now();
      const answer = await begin({}, wait(1));
      expect(answer).toMatchObject({ status: 202, body: { status: 'begun' } });
      expect(answer.headers.get('location')).toBe(`/v1/jobs/${answer.body.jobId}`);
      expect(performance.now() - startedAt).toBeGreaterThan(950);
    });

    it.each(['wait=soon', 'wait', 'wait=-1', 'wait=0', 'waiting=5'])(
      'is ignored when it is %s',
      async (prefer) => {
        const answer = await begin({}, { prefer });
        expect(answer.status).toBe(202);
        expect(answer.headers.get('preference-applied')).toBeNull();
      },
    );
  });

  describe('documents', () => {
    it('describe every route that is announced, and nothing else', async () => {
      const { status, headers, body } = await call('/openapi.json');
      expect({ status, version: body.openapi }).toEqual({ status: 200, version: '3.1.0' });
      expect(headers.get('content-type')).toContain('application/json');
      expect(body.paths['/v1/jobs'].post).toMatchObject({
        operationId: 'demo.begin-job',
        tags: ['demo'],
        security: [{ bearer: [] }],
      });
      expect(JSON.stringify(body)).not.toContain('demo.inside');
      const bus = (await call('/asyncapi.json')).body;
      expect(bus.asyncapi).toBe('3.0.0');
      expect(bus.channels).toHaveProperty(['demo.inside']);
      expect(bus.channels).toHaveProperty(['demo.job-ended']);
    });

    it('come with a page that runs nothing from elsewhere', async () => {
      const { status, headers, body } = await call('/docs');
      expect(status).toBe(200);
      expect(headers.get('content-type')).toContain('text/html');
      expect(headers.get('content-security-policy')).toMatch(/default-src 'none'; script-src 'sha256-/);
      expect(body).not.toMatch(/https?:\/\//);
    });
  });

  it('is not ready when a route that it must have is gone', async () => {
    await demo.stop();
    const answer = await call('/health/ready');
    expect(answer.status).toBe(503);
    expect(answer.body.error.routes.reason).toContain('POST /v1/jobs');
    expectProblem(await call('/v1/things'), 503, 'unavailable');
    demo = await run(DemoModule);
    await eventually(async () => (await call('/health/ready')).status === 200);
  });

  /** For what fetch would not send. */
  function raw(text: string): Promise<string> {
    const { port } = new URL(gateway.url);
    return new Promise((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
      let answer = '';
      socket.setTimeout(3_000, () => socket.destroy());
      socket.on('data', (data) => (answer += data.toString()));
      socket
        .on('close', () => resolve(answer))
        .on('error', (error) => (answer ? resolve(answer) : reject(error)));
    });
  }
});
