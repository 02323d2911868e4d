import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { eventually } from '@jogakbo/testing';
import { GatewayUnderTest, expectProblem, id, json } from './gateway-under-test.ts';
import { demoState } from './demo.ts';

const shop = 'https://shop.example';

describe('protection', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() =>
    gateway.start({ CORS_ORIGINS: `${shop}, https://m.shop.example`, ARRIVAL_TIMEOUT: '1000' }),
  );
  afterAll(() => gateway.stop());

  describe('headers', () => {
    it('forbid content sniffing, framing and referrers', async () => {
      for (const path of ['/v1/things', '/v1/nothing', '/docs', '/openapi.json', '/health/live']) {
        const { headers } = await gateway.call(path);
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('referrer-policy')).toBe('no-referrer');
        for (const rule of ['frame-ancestors', 'base-uri', 'form-action'])
          expect(headers.get('content-security-policy')).toContain(`${rule} 'none'`);
        expect(headers.get('server')).toBeNull();
        expect(headers.get('x-powered-by')).toBeNull();
      }
    });

    it('ignore forwarding headers of untrusted clients', async () => {
      const headers = {
        'x-forwarded-proto': 'https',
        'x-forwarded-for': '203.0.113.1',
        forwarded: 'proto=https',
      };
      const answer = await gateway.call('/v1/things', { headers });
      expect(answer.headers.get('strict-transport-security')).toBeNull();
    });

    it.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])(
      'hide metrics from requests that an untrusted peer forwards with %s',
      async (name) => {
        expect((await gateway.call('/metrics')).status).toBe(200);
        expectProblem(await gateway.call('/metrics', { headers: { [name]: '127.0.0.1' } }), 404, 'not-found');
      },
    );

    it("return the client's request id if it is valid", async () => {
      const requestId = async (value: string) =>
        (await gateway.call('/v1/things', { headers: { 'x-request-id': value } })).headers.get(
          'x-request-id',
        );
      expect(await requestId('card-7f3a.01:b')).toBe('card-7f3a.01:b');
      const invalid = ['short', 'with a space', 'x'.repeat(129), '<script>alert(1)</script>', '${jndi:ldap}'];
      for (const value of invalid) expect(await requestId(value)).toMatch(/^[0-9a-f]{32}$/);
    });
  });

  describe('CORS', () => {
    const preflight = (origin: string, path = '/v1/jobs') =>
      gateway.call(path, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,idempotency-key',
        },
      });

    it('allows the configured origins', async () => {
      const response = await preflight(shop);
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(shop);
      expect(response.headers.get('access-control-allow-methods')).toContain('PATCH');
      expect(response.headers.get('access-control-allow-headers')).toContain('Idempotency-Key');
      expect(response.headers.get('vary')).toContain('Origin');
      const { headers } = await gateway.call(`/v1/things/${id}`, { headers: { origin: shop } });
      expect(headers.get('access-control-allow-origin')).toBe(shop);
      expect(headers.get('access-control-allow-credentials')).toBeNull();
      for (const name of ['Location', 'ETag', 'RateLimit', 'RateLimit-Policy', 'Idempotency-Key']) {
        expect(headers.get('access-control-expose-headers')!.split(', ')).toContain(name);
      }
      expect(headers.get('vary')).toMatch(/Origin.*Accept-Language/);
    });

    it('lets allowed origins read error responses', async () => {
      const answer = await gateway.call('/v1/me', { headers: { origin: shop } });
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers.get('access-control-allow-origin')).toBe(shop);
    });

    it.each(['https://evil.example', 'https://shop.example.evil.example', 'null', 'http://shop.example'])(
      'rejects other origins: %s',
      async (origin) => {
        for (const answer of [
          await preflight(origin),
          await gateway.call('/v1/things', { headers: { origin } }),
        ]) {
          expect(answer.headers.get('access-control-allow-origin')).toBeNull();
        }
      },
    );

    it('answers OPTIONS without preflight headers with the methods of the route', async () => {
      const { headers } = await gateway.call('/v1/things', { method: 'OPTIONS', headers: { origin: shop } });
      expect(headers.get('allow')).toBe('HEAD, GET, OPTIONS');
    });
  });

  describe('compression', () => {
    const get = async (path: string, encoding: string, method: 'GET' | 'HEAD' = 'GET') => {
      const { headers, body, statusCode } = await request(gateway.service.url + path, {
        method,
        headers: { 'accept-encoding': encoding },
      });
      return { status: statusCode, headers, body: Buffer.from(await body.arrayBuffer()) };
    };
    const long = `/v1/counter?note=${'abc'.repeat(1_000)}`;

    it('is applied to large responses', async () => {
      const plain = await get(long, 'identity');
      const [gzip, br] = [await get(long, 'gzip'), await get(long, 'gzip, br')];
      expect(plain.headers['content-encoding']).toBeUndefined();
      expect([gzip.headers['content-encoding'], br.headers['content-encoding']]).toEqual(['gzip', 'br']);
      expect(gunzipSync(gzip.body).equals(plain.body)).toBe(true);
      expect(brotliDecompressSync(br.body).equals(plain.body)).toBe(true);
      expect(br.body.length).toBeLessThan(plain.body.length / 5);
      expect(String(br.headers['vary']).toLowerCase()).toContain('accept-encoding');
      expect((await get(long, 'br', 'HEAD')).status).toBe(200);
      expect((await get('/docs', 'br')).headers['content-encoding']).toBe('br');
    });

    it('is not applied to small responses', async () => {
      expect((await get('/v1/counter', 'gzip, br')).headers['content-encoding']).toBeUndefined();
    });
  });

  describe('limits', () => {
    /** Sends the beginning, then one byte every 100 ms. Returns the response and the time until the connection closed. */
    async function trickle(beginning: string, byte: string): Promise<{ answer: string; after: number }> {
      const { port } = new URL(gateway.service.url);
      const startedAt = performance.now();
      const socket: Socket = connect(Number(port), '127.0.0.1', () => socket.write(beginning));
      let answer = '';
      socket.on('data', (data) => (answer += data.toString())).on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const timer = setInterval(() => socket.writable && socket.write(byte), 100);
      await Promise.race([closed, sleep(8_000, undefined, { ref: false })]);
      clearInterval(timer);
      socket.destroy();
      return { answer, after: performance.now() - startedAt };
    }

    it.each([
      ['headers', 'GET /v1/things HTTP/1.1\r\nHost: x\r\nX-Slow: '],
      [
        'a body',
        'POST /v1/counter HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50000\r\n\r\n{"a":"',
      ],
    ])('close connections that send %s slowly', async (_, beginning) => {
      const { answer, after } = await trickle(beginning, 'x');
      expect(answer).toMatch(/^HTTP\/1.1 408 [^]*"code":"request-timeout"/);
      expect(after).toBeGreaterThan(900);
      expect(after).toBeLessThan(4_000);
    });

    it('release the slot of a client that sends half a body and stays connected', async () => {
      const inFlight = async () =>
        Number(/http_requests_in_flight\{[^}]*\} (\d+)/.exec((await gateway.call('/metrics')).body)![1]);
      const { port } = new URL(gateway.service.url);
      const socket = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true }, () =>
        socket.write(
          'POST /v1/counter HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
        ),
      );
      socket.on('error', () => {}).resume();
      await eventually(async () => (await inFlight()) === 1);
      await eventually(async () => (await inFlight()) === 0, 4_000);
      socket.destroy();
    });

    it('reject too many pipelined requests on one connection', async () => {
      const get = 'GET /v1/things HTTP/1.1\r\nHost: x\r\n';
      const answer = await gateway.sendRaw(`${`${get}\r\n`.repeat(40)}${get}Connection: close\r\n\r\n`);
      expect(answer.match(/HTTP\/1.1 200 /g)).toHaveLength(32);
      expect(answer.match(/HTTP\/1.1 429 /g)).toHaveLength(9);
    });

    it('reject too many headers', async () => {
      const many = (count: number) =>
        gateway.sendRaw(
          `GET /v1/things HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${'X-Bomb: 1\r\n'.repeat(count)}\r\n`,
        );
      expect(await many(98)).toMatch(/^HTTP\/1.1 200 /);
      for (const count of [99, 100, 1_000]) {
        expect(await many(count)).toMatch(/^HTTP\/1.1 431 [^]*"code":"headers-too-large"/);
      }
    });

    it.each(['/v1/things/%00', '/v1/things?name=%00', '/v1/owned/a%00b'])('reject NUL: %s', async (path) => {
      expectProblem(await gateway.call(path, { token: gateway.member }), 400, 'invalid-url');
    });

    it('reject invalid text and report the field', async () => {
      const buy = (note: unknown) =>
        gateway.call('/v1/slow', { token: gateway.member, body: { takes: 0, note } });
      expect((await buy('안녕 👋')).status).toBe(200);
      expectProblem(await buy('a\0b'), 400, 'invalid', 'note');
      expectProblem(await buy({ deep: ['\ud800'] }), 400, 'invalid', 'note.deep.0');
      expectProblem(await buy({ 'a\0': 1 }), 400, 'invalid', 'note');
    });

    it.each([
      ...[
        '//',
        '/v1//things',
        '/v1/./things',
        '/v1/%2e%2e/v1/things',
        '/v1/%2e%2e%2fthings',
        '/v1/things%2f..',
      ],
      ...[
        '/v1/things/..;/me',
        '/v1\\things',
        '/%c0%ae%c0%ae/',
        '/v1/things/%ff',
        `/v1/${'a/'.repeat(2_040)}`,
      ],
      ...[
        `/v1/things/${'x'.repeat(300)}`,
        '/__proto__',
        '/constructor',
        'http://evil.example/v1/nothing',
        '/%',
      ],
    ])('cannot be bypassed by a path: %.40s', async (path) => {
      const answer = await gateway.sendRaw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 (400|404|414) /);
      expect(answer).toContain('application/problem+json');
    });

    it('reject compressed bodies, which may expand without limit', async () => {
      const answer = await gateway.call('/v1/counter', {
        method: 'POST',
        headers: { ...json, 'content-encoding': 'gzip' },
        body: 'nonsense',
      });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
    });

    it('prevent prototype pollution', async () => {
      for (const body of ['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}']) {
        const answer = await gateway.call('/v1/counter', { method: 'POST', headers: json, body });
        expectProblem(answer, 400, 'invalid-json');
      }
      await gateway.call('/v1/things?__proto__[polluted]=1&constructor.prototype.polluted=1');
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
      expect(demoState.count).toBe(0);
    });

    it('reject an unauthenticated request before reading its body', async () => {
      const body = `{"token":"${'x'.repeat(100_000)}"}`;
      const answer = await gateway.call('/v1/jobs', { method: 'POST', headers: json, body });
      expectProblem(answer, 401, 'unauthenticated');
    });
  });
});

describe('behind a trusted proxy', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.start({ TRUST_PROXY: '127.0.0.0/8' }));
  afterAll(() => gateway.stop());

  it('the forwarded protocol is used: HTTPS responses carry HSTS', async () => {
    const over = async (proto: string) =>
      (await gateway.call('/v1/things', { headers: { 'x-forwarded-proto': proto } })).headers.get(
        'strict-transport-security',
      );
    expect(await over('https')).toMatch(/^max-age=\d{8}/);
    expect(await over('http')).toBeNull();
  });

  it('metrics are served to private addresses, not to clients of the proxy', async () => {
    const from = (address: string) => gateway.call('/metrics', { headers: { 'x-forwarded-for': address } });
    expect((await from('10.1.2.3')).status).toBe(200);
    expectProblem(await from('203.0.113.9'), 404, 'not-found');
    expectProblem(await from('10.1.2.3, 203.0.113.9'), 404, 'not-found');
    expect((await gateway.call('/metrics')).status).toBe(200);
  });

  it('no origin is allowed if none is configured', async () => {
    const answer = await gateway.call('/v1/things', { headers: { origin: shop } });
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });
});
