import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ChangeRoles,
  GetJwks,
  ListAudit,
  RefreshSession,
  RotateSigningKey,
  SignIn,
  SignOut,
  SignOutEverywhere,
  SignUp,
} from '@jogakbo/contracts-identity';
import { ServiceUnderTest } from '@jogakbo/testing';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JSONWebKeySet } from 'jose';
import { IdentityModule } from '../src/identity.module.ts';
import { SigningKeys } from '../src/signing-keys.ts';

const password = '조각보-correct-horse';
const address = '192.0.2.77';

describe('trust', () => {
  let identity: ServiceUnderTest;
  let count = 0;

  beforeAll(async () => {
    identity = await ServiceUnderTest.start(IdentityModule);
  });
  afterAll(() => identity.stop());

  async function member() {
    const email = `trusted-${++count}@example.com`;
    await identity.ask(SignUp, { email, password, name: '김하나' });
    const tokens = await signIn(email);
    return { email, ...tokens, memberId: decodeJwt(tokens.accessToken).sub! };
  }
  const signIn = (email: string, given = password) =>
    identity.ask(SignIn, { email, password: given }, { address });
  const refresh = (refreshToken: string) => identity.ask(RefreshSession, { refreshToken }, { address });
  const as = (memberId: string, roles = ['member'], sessionId?: string) => ({
    address,
    caller: { memberId, roles, ...(sessionId && { sessionId }) },
  });
  const operator = as('0190a5a0-0000-7000-8000-000000000001', ['operator']);
  const audit = async (memberId: string) => (await identity.ask(ListAudit, { memberId }, operator)).items;
  const kinds = async (memberId: string) => (await audit(memberId)).map(({ kind }) => kind).reverse();
  const refused = { code: 'refresh-token-refused', status: 401 };

  it('ends a family of which one token is shown twenty times at once: one answer, nineteen refusals', async () => {
    for (let round = 0; round < 3; round++) {
      const { email, refreshToken, memberId } = await member();
      const elsewhere = await signIn(email);
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => refresh(refreshToken)));
      const won = results.filter((result) => result.status === 'fulfilled');
      const lost = results.filter((result) => result.status === 'rejected');
      expect(won).toHaveLength(1);
      expect(lost.map(({ reason }) => (reason as { code: string }).code)).toEqual(
        Array.from({ length: 19 }, () => 'refresh-token-refused'),
      );
      await expect(refresh(won[0]!.value.refreshToken)).rejects.toMatchObject(refused);
      await expect(refresh(elsewhere.refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
      await expect(kinds(memberId)).resolves.toEqual(['signed-in', 'signed-in', 'refresh-token-reused']);
    }
  });

  it('signs out everywhere', async () => {
    const { email, refreshToken, memberId } = await member();
    const elsewhere = await signIn(email);
    const stranger = await member();
    await identity.ask(SignOutEverywhere, {}, as(memberId));
    await expect(refresh(refreshToken)).rejects.toMatchObject(refused);
    await expect(refresh(elsewhere.refreshToken)).rejects.toMatchObject(refused);
    await expect(refresh(stranger.refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
    await expect(refresh((await signIn(email)).refreshToken)).resolves.toMatchObject({ expiresIn: 600 });
  });

  it('says in the token when the member signed in, and a refresh makes it no later', async () => {
    const { accessToken, refreshToken, memberId } = await member();
    const now = Math.floor(Date.now() / 1_000);
    expect(Math.abs((decodeJwt(accessToken)['auth_time'] as number) - now)).toBeLessThan(5);
    await identity.query(`UPDATE session SET authenticated_at = to_timestamp(1000) WHERE member_id = $1`, [
      memberId,
    ]);
    expect(decodeJwt((await refresh(refreshToken)).accessToken)['auth_time']).toBe(1_000);
    expect(ChangeRoles.http).toMatchObject({ maxAuthAge: 300 });
    expect(RotateSigningKey.http).toMatchObject({ maxAuthAge: 300 });
  });

  it('changes roles for the next token, and keeps who did it', async () => {
    const { refreshToken, memberId } = await member();
    const change = { memberId, roles: ['member' as const, 'merchant' as const, 'member' as const] };
    await expect(identity.ask(ChangeRoles, change, operator)).resolves.toEqual({
      ...{ memberId, roles: ['member', 'merchant'] },
    });
    expect(decodeJwt((await refresh(refreshToken)).accessToken)['roles']).toEqual(['member', 'merchant']);
    expect((await audit(memberId))[0]).toMatchObject({
      ...{ kind: 'roles-changed', by: operator.caller.memberId, address },
      details: { from: ['member'], to: ['member', 'merchant'] },
    });
    const unknown = { ...change, memberId: operator.caller.memberId };
    await expect(identity.ask(ChangeRoles, unknown, operator)).rejects.toMatchObject({
      ...{ code: 'unknown-member', status: 404 },
    });
  });

  it('keeps a trail without secrets, page by page', async () => {
    const { email, accessToken, refreshToken, memberId } = await member();
    await signIn(email, 'a wrong secret').catch(() => {});
    await signIn('typed-my-secret@example.com', 'a wrong secret').catch(() => {});
    const sessionId = decodeJwt(accessToken)['sid'] as string;
    await identity.ask(SignOut, {}, as(memberId, ['member'], sessionId));
    await identity.ask(SignOut, {}, as(memberId, ['member'], sessionId));
    await identity.ask(SignOutEverywhere, {}, as(memberId));
    const expected = ['signed-in', 'sign-in-failed', 'signed-out', 'signed-out-everywhere'];
    await expect(kinds(memberId)).resolves.toEqual(expected);

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

  it('rotates the key and logs nobody out', async () => {
    const keys = identity.get(SigningKeys);
    const { email, ...before } = await member();
    const kidOf = (token: string) => decodeProtectedHeader(token).kid;
    const verify = async (token: string) => {
      const jwks = (await identity.ask(GetJwks, {})) as unknown as JSONWebKeySet;
      return jwtVerify(token, createLocalJWKSet(jwks), { audience: 'jogakbo' });
    };
    const moveTo = (kid: string, when: string) =>
      identity.query(`UPDATE signing_key SET active_at = ${when} WHERE kid = $1`, [kid]);

    const { kid } = await identity.ask(RotateSigningKey, {}, operator);
    await expect(identity.ask(RotateSigningKey, {}, operator)).rejects.toMatchObject({
      ...{ code: 'rotation-under-way', status: 409 },
    });
    // Published, and not yet in use: whoever verifies has it when the first token comes.
    await keys.load();
    expect((await identity.ask(GetJwks, {})).keys.map((key) => key['kid'])).toEqual([
      ...[kid, kidOf(before.accessToken)],
    ]);
    expect(kidOf((await signIn(email)).accessToken)).toBe(kidOf(before.accessToken));

    await moveTo(kid, 'now()');
    await keys.load();
    const after = await refresh(before.refreshToken);
    expect(kidOf(after.accessToken)).toBe(kid);
    for (const token of [before.accessToken, after.accessToken]) await verify(token);

    await identity.query(`UPDATE signing_key SET active_at = active_at - interval '21 minutes'`);
    await keys.load();
    expect((await identity.ask(GetJwks, {})).keys.map((key) => key['kid'])).toEqual([kid]);
    await expect(verify(before.accessToken)).rejects.toThrow();
    await verify(after.accessToken);
    const trail = await identity.ask(ListAudit, { kind: 'signing-key-rotated' }, operator);
    expect(trail.items).toMatchObject([{ by: operator.caller.memberId, details: { kid } }]);
    expect(JSON.stringify(trail)).not.toContain('"d"');
  });
});
