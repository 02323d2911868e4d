import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { GatewaySettings } from '../../src/settings.ts';
import { maxRequests, sendJson, type HttpService, type UpstreamsUnderTest } from './upstreams-under-test.ts';

export function testLoadAndFailures(upstreams: UpstreamsUnderTest): void {
  const { call, post, announce, startHttpService } = upstreams;

  describe('a service with many slow requests', () => {
    // Requests must not time out, even on a busy machine.
    beforeEach(
      () => void jest.replaceProperty(upstreams.gateway.get(GatewaySettings), 'requestTimeout', 20_000),
    );
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
      for (const response of waiting) sendJson(response, 200, {});
      expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(maxRequests).fill(200));
      slow.answer = (_request, response) => sendJson(response, 200, {});
      expect((await call('/v1/hello')).status).toBe(200);
    });

    it('releases the slots of disconnected clients', async () => {
      const hanging = await startHttpService(() => {});
      await announce(hanging);
      const clients = new AbortController();
      for (let n = 0; n < maxRequests; n += 1) void call('/v1/hello', clients).catch(() => {});
      await eventually(() => hanging.requests.length === maxRequests);
      clients.abort();
      hanging.answer = (_request, response) => sendJson(response, 200, {});
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
        large.answer = (_request, response) => sendJson(response, 200, {});
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
      bad.answer = (_request, response) => sendJson(response, 200, {});
      expect(await answers(20)).toBeGreaterThan(6);
    });

    it('is still called if all other instances are excluded', async () => {
      const all = [await startHttpService(failing), await startHttpService(failing)];
      for (const one of all) await announce(one);
      for (let n = 0; n < 10; n += 1) expect((await call('/v1/hello')).status).toBe(503);
      const { body } = await call('/metrics');
      expect(body).toMatch(/http_upstream_left_out\{.*service="hello".*\} 2/);
      for (const one of all) one.answer = (_request, response) => sendJson(response, 200, {});
      for (let n = 0; n < 5; n += 1) expect((await call('/v1/hello')).status).toBe(200);
    });

    it('with status 500 is not excluded', async () => {
      const answer: HttpService['answer'] = (request, response) =>
        request.url!.includes('bad')
          ? response.writeHead(500, { 'content-type': 'text/plain' }).end('db.internal is away')
          : sendJson(response, 200, {});
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
        request.url!.includes('slow') ? undefined : sendJson(response, 200, {}),
      );
      await announce(hello);
      const late = await Promise.all(Array.from({ length: 10 }, () => call('/v1/hello/slow')));
      expect(new Set(late.map(({ status }) => status))).toEqual(new Set([504]));
      expect((await call('/v1/hello/good')).status).toBe(200);
    });
  });

  it('are chosen by the fewest open requests', async () => {
    const slow = await startHttpService(
      (_request, response) => void setTimeout(() => sendJson(response, 200, {}), 600),
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
}
