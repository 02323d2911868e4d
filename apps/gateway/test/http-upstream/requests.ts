import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { issuer } from '../signer.ts';
import { type UpstreamsUnderTest } from './upstreams-under-test.ts';

export function testRequests(upstreams: UpstreamsUnderTest): void {
  const { call, post, announce, startHttpService } = upstreams;

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
      const token = await upstreams.key.sign({ sub: 'm-1', roles: ['member', 'moderator'] });
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
      expect(headers).toMatchObject({ 'x-jogakbo-member': 'm-1', 'x-jogakbo-roles': 'member,moderator' });
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
      const token = await upstreams.key.sign({ sid: sessionId });
      const answer = () => call('/v1/hello', { headers: { authorization: `Bearer ${token}` } });
      await eventually(async () => (await answer()).status === 200);
      await upstreams.identity.revoke({ sessionId });
      await eventually(async () => (await answer()).status === 401, 1_000);
      const before = hello.requests.length;
      expect((await answer()).status).toBe(401);
      expect(hello.requests).toHaveLength(before);
    });

    it('carries a member assertion that anyone can verify', async () => {
      const hello = await startHttpService();
      await announce(hello, { access: 'member' });
      const token = await upstreams.key.sign({ sub: 'm-1', roles: ['member', 'moderator'] });
      const callHello = (headers: Record<string, string>) => call('/v1/hello/kim', { headers });
      await callHello({ authorization: `Bearer ${token}`, 'x-jogakbo-assertion': token });
      const assertion = String(hello.requests[0]!.headers['x-jogakbo-assertion']);
      const keys = createRemoteJWKSet(new URL(`${upstreams.gateway.url}/.well-known/gateway-jwks.json`));
      const { payload, protectedHeader } = await jwtVerify(assertion, keys, {
        issuer,
        audience: 'hello',
        typ: 'member-assertion+jwt',
        maxTokenAge: '5s',
      });
      expect(payload).toMatchObject({ sub: 'm-1', roles: ['member', 'moderator'] });
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
      const another = await upstreams.gateway.startAnother();
      const keys = await fetchKeys(another.url);
      await another.stop();
      expect(keys).toBe(await fetchKeys(upstreams.gateway.url));
      expect(keys).not.toContain('"d"');
      expect(JSON.parse(keys).keys).toHaveLength(2);
    });

    it('is subject to the access policy', async () => {
      const hello = await startHttpService();
      await announce(hello, { access: 'operator' });
      expect(await call('/v1/hello')).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
      const authorization = `Bearer ${await upstreams.key.sign()}`;
      expect(await call('/v1/hello', { headers: { authorization } })).toMatchObject({ status: 403 });
      expect(hello.requests).toEqual([]);
      const operator = `Bearer ${await upstreams.key.sign({ roles: ['operator'] })}`;
      expect(await call('/v1/hello', { headers: { authorization: operator } })).toMatchObject({
        status: 200,
      });
    });

    it.each(['..', '%2e%2e', '.', '..%2f..%2fadmin', '%2e%2e%5cadmin', 'a%2f..%2f..'])(
      'cannot escape its route with %s',
      async (name) => {
        const hello = await startHttpService();
        await announce(hello);
        const { hostname, port } = new URL(upstreams.gateway.url);
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
}
