import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GetJwks, GetMe, SignOut } from '@jogakbo/contracts-identity';
import { inFullRuns } from '@jogakbo/testing/full-runs';
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet } from 'jose';
import { MembersUnderTest, password, rejected, toCaller } from './members-under-test.ts';
import { testRefreshing } from './refreshing.ts';
import { testSigningUp } from './signing-up.ts';

describe('identity', () => {
  const members = new MembersUnderTest();
  beforeAll(() => members.start());
  afterAll(() => members.identity.stop());

  testSigningUp(members);

  describe('signing in', () => {
    it('rejects a wrong password and an unknown address with the same error', async () => {
      const { email } = await members.createMember();
      const error = { code: 'wrong-credentials', status: 401, message: 'address or password is wrong' };
      await expect(members.signIn(email, 'wrong')).rejects.toMatchObject(error);
      await expect(members.signIn('unknown@example.com')).rejects.toMatchObject(error);
    });

    inFullRuns('takes the same time for an unknown address and a wrong password', async () => {
      const { email } = await members.createMember();
      const time = async (address: string) => {
        const startedAt = performance.now();
        await members.signIn(address, 'wrong').catch(() => {});
        return performance.now() - startedAt;
      };
      // A busy machine only lengthens the times, so the minima are compared.
      const [unknown, known]: [number[], number[]] = [[], []];
      for (let i = 0; i < 15; i++) {
        unknown.push(await time('unknown@example.com'));
        known.push(await time(email));
      }
      expect(Math.min(...unknown) / Math.min(...known)).toBeGreaterThan(0.5);
    });

    it('returns a token that the published keys verify', async () => {
      const { email, memberId } = await members.createMember();
      const { accessToken, tokenType, expiresIn } = await members.signIn(email);
      expect({ tokenType, expiresIn }).toEqual({ tokenType: 'Bearer', expiresIn: 600 });
      const jwks = await members.identity.ask(GetJwks, {});
      const { payload, protectedHeader } = await jwtVerify(
        accessToken,
        createLocalJWKSet(jwks as unknown as JSONWebKeySet),
        { issuer: 'https://store.example', audience: 'jogakbo', algorithms: ['ES256'] },
      );
      expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JWT', kid: jwks.keys[0]!['kid'] });
      expect(payload).toMatchObject({ sub: memberId, roles: ['member'], sid: expect.any(String) });
      expect(payload.exp! - payload.iat!).toBe(600);
      expect(payload.jti).not.toBe(decodeJwt((await members.signIn(email)).accessToken).jti);
    });
  });

  testRefreshing(members);

  it('signs out of one session only', async () => {
    const { email } = await members.createMember();
    const [here, elsewhere] = [await members.signIn(email), await members.signIn(email)];
    await members.identity.ask(SignOut, {}, toCaller(decodeJwt(here.accessToken)));
    await expect(members.refresh(here.refreshToken)).rejects.toMatchObject(rejected);
    await expect(members.refresh(elsewhere.refreshToken)).resolves.toMatchObject({ tokenType: 'Bearer' });
  });

  it('requires a member for the routes of members', async () => {
    await expect(members.identity.ask(GetMe, {})).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(members.identity.ask(SignOut, {})).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('stores no password and no token, including in the inbox and outbox', async () => {
    const { email } = await members.createMember();
    const first = await members.signIn(email);
    const second = await members.refresh(first.refreshToken);
    const stored = [];
    for (const table of ['inbox', 'outbox', 'member', 'session', 'refresh_token', 'signing_key'])
      stored.push(...(await members.identity.query(`SELECT t::text FROM ${table} t`)));
    expect(stored.length).toBeGreaterThan(20);
    const text = JSON.stringify(stored);
    const secrets = [password, first, second].flatMap((one) =>
      typeof one === 'string' ? [one] : [one.accessToken, one.refreshToken],
    );
    for (const secret of secrets) expect(text).not.toContain(secret);
    const [{ answered } = { answered: -1 }] = await members.identity.query<{ answered: number }>(
      'SELECT count(*)::int AS answered FROM inbox WHERE answer IS NOT NULL OR fingerprint IS NOT NULL',
    );
    expect(answered).toBe(0);
  });
});
