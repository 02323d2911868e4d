import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type Store } from './store.ts';

const rounds = 20;
const atOnce = 20;

export const refreshes = (store: Store) =>
  describe('one refresh token, shown twenty times at once', () => {
    it(`gets new tokens once, and ends its session: ${rounds} times out of ${rounds}`, async () => {
      const credentials = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      for (let round = 0; round < rounds; round += 1) {
        // A member of its own each time: that is by whom requests are counted.
        const body = { ...credentials, email: `${round}-${credentials.email}` };
        await store.call('POST', '/v1/members', { body: { ...body, name: 'Kim Jogak' } });
        const signIn = async () => (await store.call('POST', '/v1/sessions', { body })).body;
        const [{ refreshToken, accessToken: token }, elsewhere] = [await signIn(), await signIn()];
        const refresh = (refreshToken: string) =>
          store.call('POST', '/v1/sessions/refresh', { token, body: { refreshToken } });

        const answers = await Promise.all(Array.from({ length: atOnce }, () => refresh(refreshToken)));
        const won = answers.filter(({ status }) => status === 201);
        const lost = answers.filter(({ status }) => status !== 201);
        expect(won).toHaveLength(1);
        expect(lost.map(({ status, body }) => `${status} ${body.code}`)).toEqual(
          Array(atOnce - 1).fill('401 refresh-token-refused'),
        );
        for (const { text } of lost) expect(text).not.toMatch(/accessToken|eyJ/);
        // What the one got is worth nothing any more, and the member's other session is left alone.
        expect((await refresh(won[0]!.body.refreshToken)).body.code).toBe('refresh-token-refused');
        expect((await refresh(elsewhere.refreshToken)).status).toBe(201);
      }
    }, 120_000);
  });
