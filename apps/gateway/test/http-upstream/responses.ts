import { describe, expect, it } from '@jest/globals';
import { sendJson, type UpstreamsUnderTest } from './upstreams-under-test.ts';

export function testResponses(upstreams: UpstreamsUnderTest): void {
  const { call, post, announce, startHttpService } = upstreams;

  describe('a response', () => {
    it('is returned without internal headers', async () => {
      const hello = await startHttpService((_request, response) =>
        sendJson(
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
        sendJson(
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
      expect(await read({ authorization: `Bearer ${await upstreams.key.sign()}` })).toEqual({
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
        sendJson(response, 404, { stack: 'at /srv/secret.js' }),
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
}
