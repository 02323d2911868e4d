import { describe, expect, it } from '@jest/globals';
import { type GatewayUnderTest, id } from './gateway-under-test.ts';

/** Tests of RFC 9110 and RFC 9112 on raw bytes. */
export const testHttpSyntax = (gateway: GatewayUnderTest) =>
  describe('HTTP/1.1', () => {
    const close = 'Connection: close\r\n';
    const get = (target: string, host = 'Host: x\r\n') => `GET ${target} HTTP/1.1\r\n${host}${close}\r\n`;
    const post = (headers: string, body = '{}', path = '/v1/failures') =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\n${close}Content-Type: application/json\r\n${headers}` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    /** Asserts one response with a Date header. Errors must be problem documents (RFC 9457). */
    const expectAnswer = (answer: string, status: number) => {
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(answer).toMatch(/\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/i);
      expect(answer.match(/HTTP\/1\.1 \d{3} /g)).toHaveLength(1);
      if (status >= 400) expect(answer).toContain('application/problem+json');
    };

    it.each([
      ['Host: x\r\nHost: y\r\n'],
      ['Host: x\r\nhost: x\r\n'],
      ['Host: a b\r\n'],
      ['Host: a/b\r\n'],
      ['Host: user@host\r\n'],
      ['Host: [::1\r\n'],
      ['Host: [x]\r\n'],
      ['Host: ::1\r\n'],
      ['Host: x:port\r\n'],
      ['Host: x:70000\r\n'],
      ['Host: x, y\r\n'.replace(',', '\\')],
      ['Host: %zz\r\n'],
      [''],
    ])('rejects %j', async (host) => {
      for (const path of ['/v1/things', '/health/live', '/nothing'])
        expectAnswer(await gateway.sendRaw(get(path, host)), 400);
    });

    it.each([
      'Host: x',
      'Host: x:80',
      'Host: x:',
      'Host:',
      'Host: [::1]:8080',
      'Host: shop.example',
      'Host: a%20b',
    ])('accepts %j', async (host) => {
      expectAnswer(await gateway.sendRaw(get('/v1/things', `${host}\r\n`)), 200);
    });

    it('accepts HTTP/1.0 requests without a Host header', async () => {
      expectAnswer(await gateway.sendRaw('GET /v1/things HTTP/1.0\r\n\r\n'), 200);
    });

    it.each([
      ['GET /v1/things', 400],
      ['GET /v1/things HTTP', 400],
      ['GET /v1/things HTTP/1', 400],
      ['GET /v1/things http/1.1', 400],
      ['GET /v1/things HTTP/0.9', 400],
      ['GET /v1/things HTTP/2.0', 505],
      ['GET /v1/things HTTP/1.2', 505],
      ['GET /v1/things HTTP/3.0', 505],
      ['PRI * HTTP/2.0\r\n\r\nSM\r\n', 505],
      ['BREW /v1/things HTTP/1.1', 501],
      ['get /v1/things HTTP/1.1', 501],
      ['CONNECT db.internal:5432 HTTP/1.1', 501],
      ['CONNECT /v1/things HTTP/1.1', 501],
      ['TRACE /v1/things HTTP/1.1', 405],
      ['GET * HTTP/1.1', 400],
      ['GET v1/things HTTP/1.1', 400],
    ])('answers the request line %j with %i', async (line, status) => {
      expectAnswer(await gateway.sendRaw(`${line}\r\nHost: x\r\n${close}\r\n`), status);
    });

    it.each([
      '/greetings/../.well-known/jwks.json',
      '/greetings/./cards',
      '/greetings/..',
      '/greetings/%2e%2E/v1/things',
      '/greetings/.%2e/v1/things',
      '/greetings/..%2f..%2fhealth/live',
      '/greetings/%2E%2E%5cv1',
      '/greetings/..\\v1',
      '/greetings/..;a=b/v1/things',
      '/v1/things/..',
      '/v1/../v1/things',
      'http://x/v1/../v1/things',
      '/v1/things/..?a=b',
      '/../health/live',
    ])('rejects the path segments . and .. in %j', async (target) => {
      const answer = await gateway.sendRaw(get(target));
      expectAnswer(answer, 400);
      expect(answer).toContain('invalid-url');
    });

    it.each(['/docs?next=../a', '/docs?next=/../a', '/.well-known/gateway-jwks.json'])(
      'accepts the dots in %j',
      async (target) => {
        expectAnswer(await gateway.sendRaw(get(target)), 200);
      },
    );

    it.each([
      ['xchunked', 501],
      ['gzip, chunked', 501],
      ['gzip\r\nTransfer-Encoding: chunked', 501],
      ['identity', 501],
      ['chunked, chunked', 400],
      ['chunked, gzip', 400],
    ])('answers the transfer coding %j with %i and closes the connection', async (coding, status) => {
      const answer = await gateway.sendRaw(
        'POST /v1/failures HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
          `Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\nGET /v1/things HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      expectAnswer(answer, status);
    });

    it('rejects a transfer coding in HTTP/1.0', async () => {
      const answer = await gateway.sendRaw(
        'POST /v1/failures HTTP/1.0\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      );
      expectAnswer(answer, 400);
    });

    it('answers OPTIONS *', async () => {
      const answer = await gateway.sendRaw(`OPTIONS * HTTP/1.1\r\nHost: x\r\n${close}\r\n`);
      expectAnswer(answer, 204);
      expect(answer).toMatch(/\r\nallow: GET, HEAD, POST/i);
    });

    it.each([
      ['/v1/things#top', 400],
      ['/v1/things?name=a#b', 400],
      ['http://x/v1/things', 200],
      ['HTTPS://x:443/v1/things?limit=5', 200],
      ['http://x', 200],
      ['http://x?a=b', 200],
      ['http://user@x/v1/things', 400],
      ['http:///v1/things', 400],
      ['ftp://x/v1/things', 400],
      ['/v1/things?name=%ff', 400],
      ['/v1/things?name=%EA%B0', 400],
      ['/v1/things?name=%', 400],
      ['/v1/things?name=%00', 400],
      ['/v1/things?%C0%80=x', 400],
      ['/v1/owned/%ff', 400],
      ['/v1/things?name=\u00c3\u00a9', 400],
    ])('answers the target %j with %i', async (target, status) => {
      expectAnswer(await gateway.sendRaw(get(target)), status);
    });

    it('rejects compressed bodies', async () => {
      for (const coding of ['gzip', 'br', 'GZIP', 'identity, gzip']) {
        const answer = await gateway.sendRaw(post(`Content-Encoding: ${coding}\r\n`));
        expectAnswer(answer, 415);
        expect(answer).toMatch(/\r\naccept-encoding: identity\r\n/i);
      }
      expectAnswer(await gateway.sendRaw(post('Content-Encoding: identity\r\n', '{"x":1}')), 400);
    });

    describe('with Expect: 100-continue', () => {
      const expecting = (headers: string, path = '/v1/jobs') =>
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n${headers}\r\n`;
      const signedIn = () => `Authorization: Bearer ${gateway.member}\r\n`;

      it.each([
        ['no such route', 404, 'Content-Length: 9\r\n', '/v1/nothing'],
        ['no token', 401, 'Content-Length: 9\r\n', '/v1/jobs'],
        ['too long', 413, 'signed in\r\nIdempotency-Key: k\r\nContent-Length: 900000\r\n', '/v1/jobs'],
        [
          'compressed',
          415,
          'signed in\r\nIdempotency-Key: k\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n',
          '/v1/jobs',
        ],
        ['no Idempotency-Key', 400, 'signed in\r\nContent-Length: 9\r\n', '/v1/jobs'],
      ])('rejects without requesting the body: %s', async (_, status, headers, path) => {
        const answer = await gateway.sendRaw(expecting(headers.replace('signed in\r\n', signedIn()), path));
        expectAnswer(answer, status);
        expect(answer).toMatch(/\r\nconnection: close\r\n/i);
      });

      it('sends 100 Continue and reads the body', async () => {
        const body = JSON.stringify({ lines: [{ quantity: 1 }] });
        const key = 'Idempotency-Key: continued\r\n';
        const answer = await gateway.sendRaw(
          expecting(`${signedIn()}${key}${close}Content-Length: ${body.length}\r\n`) + body,
        );
        expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /);
      });

      it('rejects other expectations', async () => {
        const answer = await gateway.sendRaw(
          `GET /v1/things HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n${close}\r\n`,
        );
        expectAnswer(answer, 417);
      });
    });

    it('evaluates If-Match on GET requests', async () => {
      const read = (condition: string) =>
        gateway.call(`/v1/things/${id}`, { headers: { 'if-match': condition } });
      for (const condition of ['"3.nl"', '"1", "3.nl"', '*'])
        expect((await read(condition)).status).toBe(200);
      for (const condition of ['"2.nl"', 'W/"3.nl"', '"3"']) {
        const answer = await read(condition);
        expect(answer).toMatchObject({ status: 412, body: { code: 'precondition-failed' } });
      }
      const listed = await gateway.call('/v1/things', { headers: { 'if-match': '"x"' } });
      expect(listed.status).toBe(412);
      const document = await gateway.call('/openapi.json', { headers: { 'if-match': '"x"' } });
      expect(document.status).toBe(412);
    });
  });
