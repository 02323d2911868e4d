import { afterAll, describe, expect, it } from '@jest/globals';
import { service } from '@jogakbo/contract';
import { BrokerConnection, exchanges } from '@jogakbo/messaging';
import { eventually } from '@jogakbo/testing';
import { z } from 'zod';
import { LateModule } from './late.ts';
import { type GatewayUnderTest, expectProblem, id } from './gateway-under-test.ts';

export const testRoutes = (gateway: GatewayUnderTest) =>
  describe('routes', () => {
    let broker: BrokerConnection | undefined;
    afterAll(() => broker?.close());

    it('that are not announced yet return 503 at start, not 404', () =>
      expectProblem(gateway.beforeAnnouncements, 503, 'unavailable'));

    it('that are not announced do not exist', async () => {
      for (const path of ['/v1/nothing', '/v1/things/', '/v1//things', '/v1/things/x/y', '/V1/things']) {
        expectProblem(await gateway.call(path), 404, 'not-found');
      }
    });

    it('cannot be bypassed by the form of a path', async () => {
      for (const target of ['/v1/../v1/things', '/v1/%2e%2e/v1/things', '//v1/things', 'v1/things', '*']) {
        const answer = await gateway.sendRaw(
          `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        );
        expect({ target, answer }).toEqual({
          target,
          answer: expect.stringMatching(
            /^HTTP\/1.1 40[04] [^]*"code":"(not-found|invalid-request|invalid-url)"/,
          ),
        });
        expect(answer).toMatch(/x-content-type-options: nosniff/i);
      }
    });

    it('accept the absolute form that proxies send', async () => {
      const answer = await gateway.sendRaw(
        'GET http://x/v1/things?limit=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
      );
      expect(answer).toMatch(/^HTTP\/1.1 400 [^]*"path":"limit"/);
    });

    it('do not exist for contracts without an HTTP binding', async () => {
      for (const path of ['/inside', '/demo.inside', '/v1/demo.inside']) {
        expectProblem(await gateway.call(path), 404, 'not-found');
      }
    });

    it('list their methods in Allow', async () => {
      const answer = await gateway.call(`/v1/things/${id}`, { method: 'PUT', body: {} });
      expectProblem(answer, 405, 'method-not-allowed');
      expect(answer.headers.get('allow')).toBe('HEAD, GET, PATCH, DELETE, OPTIONS');
      const options = await gateway.call('/v1/things', { method: 'OPTIONS' });
      expect({ status: options.status, allow: options.headers.get('allow') }).toEqual({
        status: 204,
        allow: 'HEAD, GET, OPTIONS',
      });
      expectProblem(
        await gateway.call('/health/live', { method: 'POST', body: {} }),
        405,
        'method-not-allowed',
      );
      for (const path of ['/%64ocs', '/%6detrics', '/health%2flive'])
        expectProblem(await gateway.call(path), 404, 'not-found');
      expect(
        (await gateway.sendRaw('PROPFIND /v1/things HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).slice(
          0,
          12,
        ),
      ).toBe('HTTP/1.1 405');
    });

    it('are live once announced, and return 503 while their service is unavailable', async () => {
      expectProblem(await gateway.call('/v1/late'), 404, 'not-found');
      const late = await gateway.startService(LateModule);
      await eventually(async () => (await gateway.call('/v1/late')).status === 200, 2_000);
      expect((await gateway.call('/openapi.json')).body.paths).toHaveProperty('/v1/late');
      await late.stop();
      const unavailable = await gateway.call('/v1/late');
      expectProblem(unavailable, 503, 'unavailable');
      expect(unavailable.headers.get('retry-after')).toBe('1');
      const restarted = await gateway.startService(LateModule);
      await eventually(async () => (await gateway.call('/v1/late')).status === 200, 2_000);
      await restarted.stop();
    });

    it('return 503 after an instance misses its heartbeats', async () => {
      // The queue accepts requests, so only missing heartbeats show that the instance is gone.
      broker = await new BrokerConnection().open(gateway.service.broker.url, 'killed');
      const channel = await broker.model!.createChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.assertExchange(exchanges.requests('killed'), 'topic');
      await channel.bindQueue(queue, exchanges.requests('killed'), 'killed.ask');
      const instances = service('instances').event('announced', z.any());
      await gateway.service.announce(
        instances({
          service: 'killed',
          version: '1',
          instance: 'killed-1',
          state: 'up',
          url: 'http://127.0.0.1:1',
          startedAt: new Date().toISOString(),
          interval: 1,
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
      const ask = () => gateway.call('/v1/killed', { token: gateway.member });
      await eventually(async () => (await ask()).status === 504);
      const silent = await eventually(async () => {
        const answer = await ask();
        return answer.status === 503 && answer;
      });
      expectProblem(silent, 503, 'unavailable');
      expectProblem(await gateway.call('/v1/killed'), 401, 'unauthenticated');
    });

    it('reveal no internals in errors', async () => {
      const failed = await gateway.call('/v1/failures', { body: { how: 'throw' } });
      expectProblem(failed, 500, 'internal');
      expect(JSON.stringify(failed.body)).not.toMatch(/hunter2|db\.internal|demo|stack/);
      expect(failed.body.detail).toBeUndefined();
      const late = await gateway.call('/v1/failures', { body: { how: 'hang' } });
      expectProblem(late, 504, 'timeout');
      expect(JSON.stringify(late.body)).not.toContain('demo');
    });
  });
