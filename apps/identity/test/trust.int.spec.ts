import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ChangeRoles,
  GetJwks,
  ListAudit,
  ListRevocations,
  RefreshSession,
  RotateSigningKey,
  SignIn,
  SignOut,
  SignOutEverywhere,
  SignUp,
  TokensRevoked,
} from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import { IdentityModule } from '../src/identity.module.ts';
import { SigningKeys } from '../src/signing-keys.ts';

const password = '조각보-correct-horse';
const address = '192.0.2.77';

describe('sessions, roles and keys', () => {
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
    const email = `trusted-${++count}@example.com`;
    await identity.ask(SignUp, { email, password, name: '김하나' });
    const tokens = await signIn(email);
    return { email, ...tokens, memberId: decodeJwt(tokens.accessToken).sub! };
  }
  const signIn = (email: string, typedPassword = password) =>
    identity.ask(SignIn, { email, password: typedPassword }, { address });
  const refresh = (refreshToken: string) => identity.ask(RefreshSession, { refreshToken }, { address });
  const createContext = (memberId: string, roles = ['member'], sessionId?: string) => ({
    address,
    caller: { memberId, roles, ...(sessionId && { sessionId }) },
  });
  const operator = createContext('0190a5a0-0000-7000-8000-000000000001', ['operator']);
  const listAudit = async (memberId: string) => (await identity.ask(ListAudit, { memberId }, operator)).items;
  const listKinds = async (memberId: string) => (await listAudit(memberId)).map(({ kind }) => kind).reverse();
  const rejected = { code: 'refresh-token-refused', status: 401 };

  it('ends a token family after twenty concurrent reuses past the grace period', async () => {
    const { email, refreshToken, memberId } = await createMember();
    const elsewhere = await signIn(email);
    const { refreshToken: successor } = await refresh(refreshToken);
    await identity.query(
      `UPDATE refresh_token SET used_at = now() - interval '11 seconds' WHERE used_at IS NOT NULL`,
    );
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => refresh(refreshToken)));
    expect(results).toEqual(
      Array(20).fill({ status: 'rejected', reason: expect.objectContaining(rejected) }),
    );
    await expect(refresh(successor)).rejects.toMatchObject(rejected);
    await expect(refresh(elsewhere.refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
    await expect(listKinds(memberId)).resolves.toEqual(['signed-in', 'signed-in', 'refresh-token-reused']);
  });

  describe('revokes access tokens, by event and in the list,', () => {
    /** Runs `work`, checks that the published revocation is listed, and returns it. */
    async function captureRevocation(memberId: string, work: () => Promise<unknown>) {
      await work();
      const published = await identity.waitForEvent(TokensRevoked, (event) => event.memberId === memberId);
      const { revocations, revokedUntil } = await identity.ask(ListRevocations, {});
      expect(revokedUntil).toBeNull();
      expect(revocations.filter((one) => one.memberId === memberId)).toEqual([published]);
      return published;
    }
    const getExpiry = (token: string) => new Date(decodeJwt(token).exp! * 1_000).toISOString();
    const getSession = (token: string) => decodeJwt(token)['sid'] as string;
    const getGeneration = (token: string) => decodeJwt(token)['gen'];

    it('of a session after sign-out', async () => {
      const { accessToken, memberId } = await createMember();
      const sessionId = getSession(accessToken);
      const revoked = await captureRevocation(memberId, () =>
        identity.ask(SignOut, {}, createContext(memberId, ['member'], sessionId)),
      );
      expect(revoked).toEqual({ memberId, sessionId, until: expect.any(String) });
      expect(revoked.until > getExpiry(accessToken)).toBe(true);
    });

    it('of a session after reuse of a refresh token', async () => {
      const { accessToken, refreshToken, memberId } = await createMember();
      await refresh(refreshToken);
      await identity.query(
        `UPDATE refresh_token SET used_at = now() - interval '1 hour' WHERE used_at IS NOT NULL`,
      );
      const revoked = await captureRevocation(memberId, () => refresh(refreshToken).catch(() => {}));
      expect(revoked).toMatchObject({ sessionId: getSession(accessToken) });
    });

    it('of a member after sign-out everywhere', async () => {
      const { email, accessToken, memberId } = await createMember();
      const revoked = await captureRevocation(memberId, () =>
        identity.ask(SignOutEverywhere, {}, createContext(memberId)),
      );
      expect(revoked).toEqual({ memberId, generation: 1, until: expect.any(String) });
      expect(getGeneration(accessToken)).toBe(0);
      expect(getGeneration((await signIn(email)).accessToken)).toBe(1);
    });

    it('of a member after a change of roles, but not if the roles stay the same', async () => {
      const { accessToken, refreshToken, memberId } = await createMember();
      const change = (roles: ('member' | 'moderator')[]) =>
        identity.ask(ChangeRoles, { memberId, roles }, operator);
      const revoked = await captureRevocation(memberId, async () => {
        await change(['member']);
        await change(['moderator']);
      });
      expect(revoked).toEqual({ memberId, generation: 1, until: expect.any(String) });
      expect(getGeneration(accessToken)).toBe(0);
      expect(getGeneration((await refresh(refreshToken)).accessToken)).toBe(1);
    });

    it('up to a limit of listed entries, beyond which all older tokens count as revoked', async () => {
      await identity.query(
        `INSERT INTO revocation (revocation_id, member_id, session_id, until)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now() + n * interval '10 ms' + interval '1 minute'
         FROM generate_series(1, 20100) AS n`,
      );
      const options = { timeout: 25_000 };
      const { revocations, revokedUntil } = await identity.ask(ListRevocations, {}, options);
      expect(revocations).toHaveLength(20_000);
      const oldest = revocations.at(-1)!.until;
      expect(revokedUntil! <= oldest).toBe(true);
      expect(Date.parse(oldest) - Date.parse(revokedUntil!)).toBeLessThan(1_000);
      await identity.query('DELETE FROM revocation');
    });
  });

  it('signs out everywhere', async () => {
    const { email, refreshToken, memberId } = await createMember();
    const elsewhere = await signIn(email);
    const otherMember = await createMember();
    await identity.ask(SignOutEverywhere, {}, createContext(memberId));
    await expect(refresh(refreshToken)).rejects.toMatchObject(rejected);
    await expect(refresh(elsewhere.refreshToken)).rejects.toMatchObject(rejected);
    await expect(refresh(otherMember.refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
    await expect(refresh((await signIn(email)).refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
  });

  it('issues tokens with the sign-in time, which a refresh does not change', async () => {
    const { accessToken, refreshToken, memberId } = await createMember();
    const now = Math.floor(Date.now() / 1_000);
    expect(Math.abs((decodeJwt(accessToken)['auth_time'] as number) - now)).toBeLessThan(5);
    await identity.query(`UPDATE session SET authenticated_at = to_timestamp(1000) WHERE member_id = $1`, [
      memberId,
    ]);
    expect(decodeJwt((await refresh(refreshToken)).accessToken)['auth_time']).toBe(1_000);
    expect(ChangeRoles.http).toMatchObject({ maxAuthAge: 300 });
    expect(RotateSigningKey.http).toMatchObject({ maxAuthAge: 300 });
  });

  it('changes roles for the next token, and records the operator', async () => {
    const { refreshToken, memberId } = await createMember();
    const change = { memberId, roles: ['member' as const, 'moderator' as const, 'member' as const] };
    await expect(identity.ask(ChangeRoles, change, operator)).resolves.toEqual({
      memberId,
      roles: ['member', 'moderator'],
    });
    expect(decodeJwt((await refresh(refreshToken)).accessToken)['roles']).toEqual(['member', 'moderator']);
    expect((await listAudit(memberId))[0]).toMatchObject({
      kind: 'roles-changed',
      by: operator.caller.memberId,
      address,
      details: { from: ['member'], to: ['member', 'moderator'] },
    });
    await expect(
      identity.ask(ChangeRoles, { memberId, roles: ['member', 'king'] }, operator),
    ).rejects.toMatchObject({
      ...{ code: 'invalid', status: 400 },
      errors: [{ path: 'roles.1', message: 'must be one of member, moderator, operator' }],
    });
    const unknown = { ...change, memberId: operator.caller.memberId };
    await expect(identity.ask(ChangeRoles, unknown, operator)).rejects.toMatchObject({
      code: 'unknown-member',
      status: 404,
    });
  });

  it('keeps a paginated audit trail without secrets', async () => {
    const { email, accessToken, refreshToken, memberId } = await createMember();
    await signIn(email, 'a wrong secret').catch(() => {});
    await signIn('typed-my-secret@example.com', 'a wrong secret').catch(() => {});
    const sessionId = decodeJwt(accessToken)['sid'] as string;
    await identity.ask(SignOut, {}, createContext(memberId, ['member'], sessionId));
    await identity.ask(SignOut, {}, createContext(memberId, ['member'], sessionId));
    await identity.ask(SignOutEverywhere, {}, createContext(memberId));
    const expected = ['signed-in', 'sign-in-failed', 'signed-out', 'signed-out-everywhere'];
    await expect(listKinds(memberId)).resolves.toEqual(expected);

    const first = await identity.ask(ListAudit, { memberId, limit: 3 }, operator);
    const second = await identity.ask(ListAudit, { memberId, limit: 3, cursor: first.nextCursor! }, operator);
    expect([...first.items, ...second.items].map(({ kind }) => kind).reverse()).toEqual(expected);
    expect(second.nextCursor).toBeNull();
    const failed = await identity.ask(ListAudit, { kind: 'sign-in-failed', limit: 1 }, operator);
    expect(failed.items).toMatchObject([{ kind: 'sign-in-failed', memberId: null, address }]);

    const rows = JSON.stringify(await identity.query('SELECT * FROM audit_entry'));
    for (const secret of [password, 'a wrong secret', 'my-secret', accessToken, refreshToken])
      expect(rows).not.toContain(secret);
  });

  it('rotates the signing key without ending sessions', async () => {
    const keys = identity.get(SigningKeys);
    const { email, ...before } = await createMember();
    const readKid = (token: string) => decodeProtectedHeader(token).kid;
    const verify = async (token: string) => {
      const jwks = (await identity.ask(GetJwks, {})) as unknown as JSONWebKeySet;
      return jwtVerify(token, createLocalJWKSet(jwks), { audience: 'jogakbo' });
    };
    const publishedKids = async () =>
      (await identity.ask(GetJwks, {})).keys.flatMap(({ kid, alg }) => (alg === 'ES256' ? [kid] : []));
    const setActiveAt = (kid: string, when: string) =>
      identity.query(`UPDATE signing_key SET active_at = ${when} WHERE kid = $1`, [kid]);

    const { kid } = await identity.ask(RotateSigningKey, {}, operator);
    await expect(identity.ask(RotateSigningKey, {}, operator)).rejects.toMatchObject({
      code: 'rotation-under-way',
      status: 409,
    });
    // Published but not active yet: verifiers have the key before the first token.
    await keys.load();
    expect(await publishedKids()).toEqual([...[kid, readKid(before.accessToken)]]);
    expect(readKid((await signIn(email)).accessToken)).toBe(readKid(before.accessToken));

    await setActiveAt(kid, 'now()');
    await keys.load();
    const after = await refresh(before.refreshToken);
    expect(readKid(after.accessToken)).toBe(kid);
    for (const token of [before.accessToken, after.accessToken]) await verify(token);

    await identity.query(`UPDATE signing_key SET active_at = active_at - interval '21 minutes'`);
    await keys.load();
    expect(await publishedKids()).toEqual([kid]);
    await expect(verify(before.accessToken)).rejects.toThrow();
    await verify(after.accessToken);
    const trail = await identity.ask(ListAudit, { kind: 'signing-key-rotated' }, operator);
    expect(trail.items).toMatchObject([{ by: operator.caller.memberId, details: { kid } }]);
    expect(JSON.stringify(trail)).not.toContain('"d"');
  });
});
