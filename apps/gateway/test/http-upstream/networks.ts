import dns from 'node:dns';
import { describe, expect, it, jest } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { Announced, sendJson, type UpstreamsUnderTest } from './upstreams-under-test.ts';

export function testNetworks(upstreams: UpstreamsUnderTest): void {
  const { call, announce, announced, startHttpService, waitForRoute } = upstreams;

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
      // The gateway handles an announcement a moment later.
      await eventually(async () => (await call('/v1/hello')).status === 503);
      const { length } = hello.requests;
      // The pooled connection from before is not reused.
      await expectDenied();
      expect(hello.requests).toHaveLength(length);
    });

    it('checked at every connection: DNS rebinding is rejected', async () => {
      const hello = await startHttpService((_request, response) =>
        sendJson(response, 200, {}, { connection: 'close' }),
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
      const ports = [upstreams.gateway.url, upstreams.demo.url, upstreams.gateway.broker.url].map(
        (url) => new URL(url).port,
      );
      for (const port of [...ports, '6543']) {
        for (const host of ['127.0.0.1', 'localhost', '127.0.0.2', '[::ffff:127.0.0.1]']) {
          const instance = upstreams.createInstanceName();
          await announce({ url: `http://${host}:${port}`, instance });
          expect((await call('/v1/hello')).status).toBe(503);
          await upstreams.gateway.announce(Announced({ ...announced.at(-1)!, state: 'draining' }));
        }
      }
      expect(await countDenied()).toBeGreaterThanOrEqual(16);
    });
  });
}
