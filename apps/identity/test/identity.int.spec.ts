import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  GetJwks,
  GetMe,
  MemberRegistered,
  RefreshSession,
  SignIn,
  SignOut,
  SignUp,
  SignUpRepeated,
} from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { createLocalJWKSet, decodeJwt, jwtVerify, type JSONWebKeySet, type JWTPayload } from 'jose';
import { ExpiredSessions } from '../src/expired-sessions.ts';
import { IdentityModule } from '../src/identity.module.ts';
import { hashToken } from '../src/session.ts';
import { IdentitySettings } from '../src/settings.ts';

const password = '조각보-correct-horse';

describe('identity', () => {
  let identity: ServiceUnderTest;
  let count = 0;

  beforeAll(async () => {
    identity = await ServiceUnderTest.start(IdentityModule, {
      TOKEN_ISSUER: 'https://store.example',
      LANGUAGES: 'ko,en',
      ROLES: 'moderator',
    });
  });
  afterAll(() => identity.stop());

  async function createMember() {
    const email = `member-${++count}@example.com`;
    const { memberId } = await identity.ask(SignUp, { email, password, name: '김하나' });
    return { email, memberId };
  }

  const signIn = (email: string, typedPassword = password) =>
    identity.ask(SignIn, { email, password: typedPassword }, { timeout: 10_000 });
  const refresh = (refreshToken: string) => identity.ask(RefreshSession, { refreshToken });
  const setUsedSecondsAgo = (token: string, seconds: number) =>
    identity.query(
      `UPDATE refresh_token SET used_at = now() - $2 * interval '1 second' WHERE token_hash = $1`,
      [hashToken(token), seconds],
    );
  const toCaller = ({ sub, roles, sid }: JWTPayload) => ({
    caller: { memberId: sub!, roles: roles as string[], sessionId: sid as string },
  });
  const rejected = { code: 'refresh-token-refused', status: 401 };

  describe('signing up', () => {
    it('creates a member and publishes an event with the language of the request', async () => {
      const { memberId } = await identity.ask(
        SignUp,
        { email: 'Ada@Example.com', password, name: 'Ada' },
        { language: 'en' },
      );
      await expect(
        identity.waitForEvent(MemberRegistered, (event) => event.memberId === memberId),
      ).resolves.toEqual({ memberId, email: 'ada@example.com', name: 'Ada', language: 'en', mayMail: true });
      const { accessToken } = await signIn('aDA@example.com');
      await expect(identity.ask(GetMe, {}, toCaller(decodeJwt(accessToken)))).resolves.toEqual({
        memberId,
        email: 'ada@example.com',
        name: 'Ada',
        roles: ['member'],
      });
    });

    it('returns the same response for a taken address, notifies the owner and changes nothing', async () => {
      const { email, memberId } = await createMember();
      const again = await identity.ask(
        SignUp,
        { email: email.toUpperCase(), password: 'another password', name: 'Mallory' },
        { language: 'en' },
      );
      expect(Object.keys(again)).toEqual(['memberId']);
      expect(again.memberId).not.toBe(memberId);
      await expect(
        identity.waitForEvent(SignUpRepeated, (event) => event.memberId === memberId),
      ).resolves.toEqual({
        memberId,
        language: 'en',
        mayMail: true,
      });
      expect(
        identity.getPublishedEvents(MemberRegistered).filter((event) => event.email === email),
      ).toHaveLength(1);
      const rows = await identity.query<{ name: string }>('SELECT name FROM member WHERE email = $1', [
        email,
      ]);
      expect(rows).toEqual([{ name: '김하나' }]);
      await expect(signIn(email, 'another password')).rejects.toMatchObject({ code: 'wrong-credentials' });
    });

    it('takes the same time for taken and new addresses', async () => {
      const { email } = await createMember();
      const time = async (address: string) => {
        const startedAt = performance.now();
        const answer = await identity.ask(SignUp, { email: address, password, name: 'x' });
        expect(answer).toEqual({ memberId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
        return performance.now() - startedAt;
      };
      // Compares the minima, as below.
      const [fresh, taken]: [number[], number[]] = [[], []];
      const ratio = () => Math.min(...fresh) / Math.min(...taken);
      // On a busy machine, an undisturbed minimum needs more attempts.
      for (let i = 0; i < 10 || (i < 40 && Math.abs(Math.log(ratio())) > Math.log(1.4)); i++) {
        fresh.push(await time(`fresh-${i}@example.com`));
        taken.push(await time(email));
      }
      expect(ratio()).toBeGreaterThan(1 / 1.4);
      expect(ratio()).toBeLessThan(1.4);
    }, 90_000);

    it('limits mails per address, subaddresses included, and per network, across restarts', async () => {
      const mayMail = async (email: string, address: string) => {
        await identity.ask(SignUp, { email, password, name: 'x' }, { address });
        const [last] = await identity.query<{ mail: boolean }>(
          `SELECT (data->>'mayMail')::boolean AS mail FROM outbox ORDER BY id DESC LIMIT 1`,
        );
        return last!.mail;
      };
      const victim = [
        'v@example.org',
        'V@example.org',
        'v+1@example.org',
        'v+2@example.org',
        'v@example.org',
      ];
      const allowed: boolean[] = [];
      for (const [nth, email] of victim.entries()) allowed.push(await mayMail(email, `192.0.2.${nth}`));
      expect(allowed).toEqual([true, true, true, false, false]);

      identity.get(IdentitySettings).signUpMailsPerNetwork = 2;
      const fromNetwork = (nth: number) => mayMail(`n${nth}@example.org`, `2001:db8:7::${nth}`);
      expect([await fromNetwork(1), await fromNetwork(2)]).toEqual([true, true]);
      await identity.restart();
      identity.get(IdentitySettings).signUpMailsPerNetwork = 2;
      expect(await fromNetwork(3)).toBe(false);
      expect(await mayMail('n4@example.org', '2001:db8:8::1')).toBe(true);
      identity.get(IdentitySettings).signUpMailsPerNetwork = 100;
      const rows = JSON.stringify(await identity.query('SELECT * FROM sign_up_mails'));
      expect(rows).not.toContain('example.org');
    });

    it('creates one member from concurrent sign-ups with the same address', async () => {
      const email = 'crowd@example.com';
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => identity.ask(SignUp, { email, password, name: 'One' })),
      );
      expect(new Set(answers.map(({ memberId }) => memberId)).size).toBe(8);
      await expect(identity.query('SELECT 1 FROM member WHERE email = $1', [email])).resolves.toHaveLength(1);
    });

    it.each([
      ['an invalid address', { email: 'not-an-address', password, name: 'x' }, 'email'],
      ['a short password', { email: 'a@example.com', password: 'short', name: 'x' }, 'password'],
      [
        'an address with a local part over 64 octets',
        { email: `${'a'.repeat(65)}@example.com`, password, name: 'x' },
        'email',
      ],
      ['an empty name', { email: 'a@example.com', password, name: '  ' }, 'name'],
      ['a zero byte in the name', { email: 'a@example.com', password, name: 'A\u0000B' }, 'name'],
      ['a role', { email: 'a@example.com', password, name: 'x', roles: ['operator'] }, 'roles'],
    ])('rejects %s and reports the field', async (_, input, path) => {
      await expect(identity.ask(SignUp, input as never)).rejects.toMatchObject({
        code: 'invalid',
        status: 400,
        errors: [expect.objectContaining({ path })],
      });
    });
  });

  describe('a new password', () => {
    it.each(['password', ' '.repeat(12), 'kim@example.com'])('is rejected: %j', async (weak) => {
      const input = { email: 'kim@example.com', password: weak, name: 'Kim' };
      await expect(identity.ask(SignUp, input)).rejects.toMatchObject({
        code: 'weak-password',
        status: 422,
        errors: [expect.objectContaining({ path: 'password' })],
      });
    });
  });

  describe('signing in', () => {
    it('rejects a wrong password and an unknown address with the same error', async () => {
      const { email } = await createMember();
      const error = { code: 'wrong-credentials', status: 401, message: 'address or password is wrong' };
      await expect(signIn(email, 'wrong')).rejects.toMatchObject(error);
      await expect(signIn('unknown@example.com')).rejects.toMatchObject(error);
    });

    it('takes the same time for an unknown address and a wrong password', async () => {
      const { email } = await createMember();
      const time = async (address: string) => {
        const startedAt = performance.now();
        await signIn(address, 'wrong').catch(() => {});
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
      const { email, memberId } = await createMember();
      const { accessToken, tokenType, expiresIn } = await signIn(email);
      expect({ tokenType, expiresIn }).toEqual({ tokenType: 'Bearer', expiresIn: 600 });
      const jwks = await identity.ask(GetJwks, {});
      const { payload, protectedHeader } = await jwtVerify(
        accessToken,
        createLocalJWKSet(jwks as unknown as JSONWebKeySet),
        { issuer: 'https://store.example', audience: 'jogakbo', algorithms: ['ES256'] },
      );
      expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'JWT', kid: jwks.keys[0]!['kid'] });
      expect(payload).toMatchObject({ sub: memberId, roles: ['member'], sid: expect.any(String) });
      expect(payload.exp! - payload.iat!).toBe(600);
      expect(payload.jti).not.toBe(decodeJwt((await signIn(email)).accessToken).jti);
    });
  });

  describe('refreshing', () => {
    it('continues the session with new tokens', async () => {
      const { email } = await createMember();
      const first = await signIn(email);
      const second = await refresh(first.refreshToken);
      expect(second.refreshToken).toMatch(/^[\w-]{43}$/);
      expect(second.refreshToken).not.toBe(first.refreshToken);
      expect(decodeJwt(second.accessToken)['sid']).toBe(decodeJwt(first.accessToken)['sid']);
      await expect(refresh(second.refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
    });

    it('returns one valid successor for ten concurrent uses of a token', async () => {
      const { email } = await createMember();
      const { refreshToken } = await signIn(email);
      const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(refreshToken)));
      const successors = new Set(answers.map((answer) => answer.refreshToken));
      expect(successors.size).toBe(1);
      const third = await refresh([...successors][0]!);
      await expect(refresh([...successors][0]!)).resolves.toMatchObject({ refreshToken: third.refreshToken });
    });

    it('ends the token family on reuse after the grace period, and no other', async () => {
      const { email } = await createMember();
      const [first, elsewhere] = [await signIn(email), await signIn(email)];
      const second = await refresh(first.refreshToken);
      await setUsedSecondsAgo(first.refreshToken, 9);
      await expect(refresh(first.refreshToken)).resolves.toMatchObject({ refreshToken: second.refreshToken });
      await setUsedSecondsAgo(first.refreshToken, 11);
      await expect(refresh(first.refreshToken)).rejects.toMatchObject(rejected);
      await expect(refresh(second.refreshToken)).rejects.toMatchObject(rejected);
      await setUsedSecondsAgo(first.refreshToken, 0);
      await expect(refresh(first.refreshToken)).rejects.toMatchObject(rejected);
      await expect(refresh(elsewhere.refreshToken)).resolves.toMatchObject({ tokenType: 'Bearer' });
    });

    it('derives a successor from the token of the client and the key in the database', async () => {
      const { email } = await createMember();
      const [one, other] = [await signIn(email), await signIn(email)];
      // The key of one session does not derive successors for the tokens of another.
      const [next, elsewhere] = [await refresh(one.refreshToken), await refresh(other.refreshToken)];
      const keys = await identity.query<{ rotation_key: Buffer }>('SELECT rotation_key FROM session');
      const deriveAll = (token: string) =>
        keys.map((row) => createHmac('sha256', row.rotation_key).update(token).digest('base64url'));
      expect(deriveAll(one.refreshToken)).toContain(next.refreshToken);
      expect(new Set([...keys.map((row) => row.rotation_key.toString('hex'))]).size).toBe(keys.length);
      expect(deriveAll(hashToken(one.refreshToken))).not.toContain(next.refreshToken);
      expect(next.refreshToken).not.toBe(elsewhere.refreshToken);
    });

    it('ends at the absolute expiry of the session', async () => {
      const { email } = await createMember();
      const first = await signIn(email);
      const sessionId = decodeJwt(first.accessToken)['sid'];
      const [{ days } = { days: 0 }] = await identity.query<{ days: number }>(
        `SELECT round(extract(epoch FROM ends_at - now()) / 86400)::int AS days FROM session WHERE session_id = $1`,
        [sessionId],
      );
      expect(days).toBe(90);
      const setEnd = (when: string) =>
        identity.query(`UPDATE session SET ends_at = now() + interval '${when}' WHERE session_id = $1`, [
          sessionId,
        ]);
      await setEnd('100 seconds');
      const second = await refresh(first.refreshToken);
      expect(second.expiresIn).toBeLessThanOrEqual(100);
      expect(decodeJwt(second.accessToken).exp! * 1_000).toBeLessThanOrEqual(Date.now() + 100_000);
      const outliving = await identity.query(
        'SELECT 1 FROM refresh_token JOIN session USING (session_id) WHERE refresh_token.expires_at > ends_at AND used_at IS NULL',
      );
      expect(outliving).toEqual([]);
      await setEnd('-1 seconds');
      for (const token of [second.refreshToken, first.refreshToken])
        await expect(refresh(token)).rejects.toMatchObject(rejected);
    });

    it('returns the current roles', async () => {
      const { email } = await createMember();
      const { refreshToken } = await signIn(email);
      await identity.query(`UPDATE member SET roles = '{member,moderator}' WHERE email = $1`, [email]);
      expect(decodeJwt((await refresh(refreshToken)).accessToken)['roles']).toEqual(['member', 'moderator']);
    });

    it('rejects unknown and expired tokens, and deletes expired sessions', async () => {
      await expect(refresh('never-given-out')).rejects.toMatchObject(rejected);
      const { email, memberId } = await createMember();
      const { refreshToken } = await signIn(email);
      const past = `now() - interval '1 second'`;
      await identity.query(`UPDATE session SET expires_at = ${past} WHERE member_id = $1`, [memberId]);
      await identity.query(
        `UPDATE refresh_token SET expires_at = ${past} WHERE session_id IN
           (SELECT session_id FROM session WHERE member_id = $1)`,
        [memberId],
      );
      await expect(refresh(refreshToken)).rejects.toMatchObject(rejected);
      await identity.get(ExpiredSessions).deleteExpired();
      const remaining = identity.query('SELECT 1 FROM session WHERE member_id = $1', [memberId]);
      await expect(remaining).resolves.toEqual([]);
    });
  });

  it('signs out of one session only', async () => {
    const { email } = await createMember();
    const [here, elsewhere] = [await signIn(email), await signIn(email)];
    await identity.ask(SignOut, {}, toCaller(decodeJwt(here.accessToken)));
    await expect(refresh(here.refreshToken)).rejects.toMatchObject(rejected);
    await expect(refresh(elsewhere.refreshToken)).resolves.toMatchObject({ tokenType: 'Bearer' });
  });

  it('requires a member for the routes of members', async () => {
    await expect(identity.ask(GetMe, {})).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(identity.ask(SignOut, {})).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('stores no password and no token, including in the inbox and outbox', async () => {
    const { email } = await createMember();
    const first = await signIn(email);
    const second = await refresh(first.refreshToken);
    const stored = [];
    for (const table of ['inbox', 'outbox', 'member', 'session', 'refresh_token', 'signing_key'])
      stored.push(...(await identity.query(`SELECT t::text FROM ${table} t`)));
    expect(stored.length).toBeGreaterThan(20);
    const text = JSON.stringify(stored);
    const secrets = [password, first, second].flatMap((one) =>
      typeof one === 'string' ? [one] : [one.accessToken, one.refreshToken],
    );
    for (const secret of secrets) expect(text).not.toContain(secret);
    const [{ answered } = { answered: -1 }] = await identity.query<{ answered: number }>(
      'SELECT count(*)::int AS answered FROM inbox WHERE answer IS NOT NULL OR fingerprint IS NOT NULL',
    );
    expect(answered).toBe(0);
  });
});
