import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from './jogakbo.ts';
import { setLive } from './live-settings.ts';
import { type TwoGateways } from './store-with-two-gateways.ts';
import { type Answer } from './store.ts';

export const twoGateways = (gateways: TwoGateways) => {
  const { store } = gateways;
  const here = (token: string) => store.call('GET', '/v1/members/me', { token });
  const there = (token: string) => store.call('GET', '/v1/members/me', { token, url: gateways.second.url });
  /** What is left of the member's own limit. */
  const readRemaining = ({ headers }: Answer) =>
    Number(/"member";r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1] ?? Number.NaN);

  /** How often each of the gateways has said something. */
  const said = (text: string) =>
    [readFileSync(join(store.home, 'logs', 'gateway.log'), 'utf8'), gateways.second.log()].map(
      (log) => log.split(text).length - 1,
    );

  /** Waits until both count somebody's requests together. */
  const countTogether = () =>
    until(async () => {
      const { token } = await store.member();
      const left = [
        readRemaining(await here(token)),
        readRemaining(await there(token)),
        readRemaining(await here(token)),
      ];
      return left[0]! - left[1]! === 1 && left[1]! - left[2]! === 1;
    }, 30_000);

  describe('two gateways', () => {
    it('share the limits of a member', async () => {
      await countTogether();
      const { token } = await store.member();
      await setLive(gateways, 'gateway', ['rateLimitMember', '40/hour'], { gateway: 2 });
      const answers: number[] = [];
      for (let n = 0; n < 20; n++) answers.push((await here(token)).status, (await there(token)).status);
      expect(new Set(answers)).toEqual(new Set([200]));
      const refused = [await here(token), await there(token)];
      await setLive(gateways, 'gateway', ['rateLimitMember', null], { gateway: 2 });
      for (const { status, body, headers } of refused) {
        expect([status, body.code]).toEqual([429, 'too-many-requests']);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
      expect((await there(token)).status).toBe(200);
    }, 60_000);

    it('share sessions: what is signed in at one is known at the other, and what is signed out', async () => {
      const { url } = gateways.second;
      const account = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      await store.call('POST', '/v1/members', { body: { ...account, name: 'Kim Jogak' } });
      const { body: session } = await store.call('POST', '/v1/sessions', { body: account });
      expect(await there(session.accessToken)).toMatchObject({ status: 200, body: { email: account.email } });
      const refresh = (refreshToken: string, at?: string) =>
        store.call('POST', '/v1/sessions/refresh', { body: { refreshToken }, ...(at && { url: at }) });
      const { body: renewed } = await refresh(session.refreshToken, url);
      expect((await here(renewed.accessToken)).status).toBe(200);
      const { status } = await store.call('DELETE', '/v1/sessions/current', {
        ...{ token: renewed.accessToken, url },
      });
      expect(status).toBe(204);
      for (const at of [undefined, url]) expect((await refresh(renewed.refreshToken, at)).status).toBe(401);
      // The access tokens of before and after the refresh end with the session, at both within a second.
      await until(async () => {
        const tokens = [session.accessToken, renewed.accessToken];
        const answers = await Promise.all(tokens.flatMap((token) => [here(token), there(token)]));
        return answers.every((answer) => answer.status === 401);
      }, 1_000);
    });
  });

  describe.each<[string, () => unknown, () => unknown]>([
    ['hangs', () => gateways.redis.freeze(), () => gateways.redis.thaw()],
    ['is away', () => gateways.redis.pause(), () => gateways.redis.resume()],
  ])('while Redis %s', (_how, breakIt, mendIt) => {
    let token: string;
    beforeAll(async () => void ({ token } = await store.member()));

    it('both go on, each counting by itself; they say so once, and count together again afterwards', async () => {
      await countTogether();
      const before = [said('Redis is away'), said('Redis is back')];
      await breakIt();
      const answers: Answer[] = [];
      try {
        // Until it is known for away each request waits a moment; then none does.
        await until(
          () => said('Redis is away').every((times, at) => times > before[0]![at]!) || call(),
          10_000,
        );
        for (let n = 0; n < 30; n++) answers.push(await here(token), await there(token));
      } finally {
        await mendIt();
      }
      async function call(): Promise<boolean> {
        answers.push(await here(token), await there(token));
        return false;
      }
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      // Each has its own count: the two do not go down in turns.
      const [one, two] = answers.slice(-2).map(readRemaining);
      expect([one, two]).toEqual([readRemaining(answers.at(-4)!) - 1, readRemaining(answers.at(-3)!) - 1]);
      await countTogether();
      const times = (text: string, at: number) => said(text).map((now, gateway) => now - before[at]![gateway]!);
      expect([times('Redis is away', 0), times('Redis is back', 1)]).toEqual([
        [1, 1],
        [1, 1],
      ]);
    }, 60_000);
  });
};
