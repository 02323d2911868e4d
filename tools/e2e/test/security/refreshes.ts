import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type Store } from '../../src/store.ts';

const rounds = 5;
const concurrency = 20;

export const refreshes = (store: Store) =>
  describe('one refresh token, used twenty times at once', () => {
    it(`gives all requests one new token, and the session continues: ${rounds} times out of ${rounds}`, async () => {
      const credentials = { email: `${randomUUID()}@example.com`, password: randomUUID() };
      for (let round = 0; round < rounds; round += 1) {
        const body = { ...credentials, email: `${round}-${credentials.email}` };
        await store.call('POST', '/v1/members', { body: { ...body, name: 'Kim Jogak' } });
        const { refreshToken, accessToken: token } = (await store.call('POST', '/v1/sessions', { body }))
          .body;
        const refresh = (refreshToken: string) =>
          store.call('POST', '/v1/sessions/refresh', { token, body: { refreshToken } });

        const answers = await Promise.all(Array.from({ length: concurrency }, () => refresh(refreshToken)));
        expect(answers.map(({ status }) => status)).toEqual(Array(concurrency).fill(201));
        const successors = new Set(answers.map(({ body }) => body.refreshToken));
        expect(successors.size).toBe(1);
        expect((await refresh([...successors][0])).status).toBe(201);
      }
    }, 120_000);
  });
