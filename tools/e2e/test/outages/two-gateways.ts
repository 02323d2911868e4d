import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../../src/jogakbo.ts';
import { setLive } from './live-settings.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';
import { type Answer } from '../../src/store.ts';

export const twoGateways = (gateways: TwoGateways) => {
  const { store } = gateways;
  const callFirst = (token: string) => store.call('GET', '/v1/members/me', { token });
  const callSecond = (token: string) =>
    store.call('GET', '/v1/members/me', { token, url: gateways.second.url });
  /** Remaining requests of the member. */
  const readRemaining = ({ headers }: Answer) =>
    Number(/"member";r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1] ?? Number.NaN);

  /** How often each gateway has logged a text. */
  const countLogs = (text: string) =>
    [readFileSync(join(store.home, 'logs', 'gateway.log'), 'utf8'), gateways.second.log()].map(
      (log) => log.split(text).length - 1,
    );

  /** Waits until both gateways share the counter of a member. */
  const waitForSharedCounter = () =>
    until(async () => {
      const { token } = await store.createMember();
      const remaining = [
        readRemaining(await callFirst(token)),
        readRemaining(await callSecond(token)),
        readRemaining(await callFirst(token)),
      ];
      return remaining[0]! - remaining[1]! === 1 && remaining[1]! - remaining[2]! === 1;
    }, 30_000);

  describe('two gateways', () => {
    it('share the limits of a member', async () => {
      await waitForSharedCounter();
      const { token } = await store.createMember();
      await setLive(gateways, 'gateway', ['rateLimitMember', '40/hour'], { gateway: 2 });
      const answers: number[] = [];
      for (let n = 0; n < 20; n++)
        answers.push((await callFirst(token)).status, (await callSecond(token)).status);
      expect(new Set(answers)).toEqual(new Set([200]));
      const rejected = [await callFirst(token), await callSecond(token)];
      await setLive(gateways, 'gateway', ['rateLimitMember', null], { gateway: 2 });
      for (const { status, body, headers } of rejected) {
        expect([status, body.code]).toEqual([429, 'too-many-requests']);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      expect((await callSecond(token)).status).toBe(200);
    }, 60_000);

    it('share sessions: sign-in and sign-out at one gateway take effect at the other', async () => {
      const { url } = gateways.second;
      const account = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      await store.call('POST', '/v1/members', { body: { ...account, name: 'Kim Jogak' } });
      const { body: session } = await store.call('POST', '/v1/sessions', { body: account });
      expect(await callSecond(session.accessToken)).toMatchObject({
        status: 200,
        body: { email: account.email },
      });
      const refresh = (refreshToken: string, at?: string) =>
        store.call('POST', '/v1/sessions/refresh', { body: { refreshToken }, ...(at && { url: at }) });
      const { body: renewed } = await refresh(session.refreshToken, url);
      expect((await callFirst(renewed.accessToken)).status).toBe(200);
      const { status } = await store.call('DELETE', '/v1/sessions/current', {
        ...{ token: renewed.accessToken, url },
      });
      expect(status).toBe(204);
      for (const at of [undefined, url]) expect((await refresh(renewed.refreshToken, at)).status).toBe(401);
      // The access tokens from before and after the refresh end with the session, at both gateways within a second.
      await until(async () => {
        const tokens = [session.accessToken, renewed.accessToken];
        const answers = await Promise.all(tokens.flatMap((token) => [callFirst(token), callSecond(token)]));
        return answers.every((answer) => answer.status === 401);
      }, 1_000);
    });
  });

  describe.each<[string, () => unknown, () => unknown]>([
    ['hangs', () => gateways.redis.freeze(), () => gateways.redis.thaw()],
    ['is stopped', () => gateways.redis.pause(), () => gateways.redis.resume()],
  ])('while Redis %s', (_how, stopRedis, restoreRedis) => {
    let token: string;
    beforeAll(async () => void ({ token } = await store.createMember()));

    it('both gateways count separately and log it once, and share the counter again afterwards', async () => {
      await waitForSharedCounter();
      const before = [countLogs('Redis is unavailable'), countLogs('Redis is available again')];
      await stopRedis();
      const answers: Answer[] = [];
      try {
        // Requests are slow until the gateways have detected the failure.
        await until(
          () => countLogs('Redis is unavailable').every((times, at) => times > before[0]![at]!) || call(),
          10_000,
        );
        for (let n = 0; n < 30; n++) answers.push(await callFirst(token), await callSecond(token));
      } finally {
        await restoreRedis();
      }
      async function call(): Promise<boolean> {
        answers.push(await callFirst(token), await callSecond(token));
        return false;
      }
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      // Each gateway has its own counter: a request at one does not lower the counter of the other.
      const [one, two] = answers.slice(-2).map(readRemaining);
      expect([one, two]).toEqual([readRemaining(answers.at(-4)!) - 1, readRemaining(answers.at(-3)!) - 1]);
      await waitForSharedCounter();
      const times = (text: string, at: number) =>
        countLogs(text).map((now, gateway) => now - before[at]![gateway]!);
      expect([times('Redis is unavailable', 0), times('Redis is available again', 1)]).toEqual([
        [1, 1],
        [1, 1],
      ]);
    }, 60_000);
  });
};
