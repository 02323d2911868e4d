import { describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { demoState } from './demo.ts';
import { type GatewayUnderTest, expectProblem, id } from './gateway-under-test.ts';
import { createSigner, createUnsignedToken, issuer } from './signer.ts';

export const testAccess = (gateway: GatewayUnderTest) =>
  describe('access tokens', () => {
    const getMe = (token?: string) => gateway.call('/v1/me', token === undefined ? {} : { token });

    it('identify the caller', async () => {
      expect((await getMe(gateway.member)).body).toEqual({
        memberId: 'm-1',
        sessionId: 's-1',
        language: 'nl',
      });
    });

    it('are required on routes that are not public', async () => {
      const answer = await getMe();
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    });

    it('are rejected if forged, expired or issued for another audience, on public routes too', async () => {
      const now = Math.floor(Date.now() / 1_000);
      const sameKidSigner = await createSigner('k1');
      const unknownKidSigner = await createSigner('k-unknown');
      const [head, claims, signature] = gateway.member.split('.') as [string, string, string];
      // A 64-byte signature leaves four unused bits in the last base64url character. Canonical encoding sets them to zero.
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const setUnusedBit = (text: string) => text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) + 1];
      const signInfiniteClaim = (name: string) =>
        gateway.key.signText(
          `{"iss":"${issuer}","aud":"jogakbo","sub":"m-1","exp":${now + 60},"${name}":1e400}`,
        );
      const body = Buffer.from(JSON.stringify({ iss: issuer, aud: 'jogakbo', sub: 'm-9', exp: now + 60 }));
      const rejectedTokens: Record<string, string> = {
        unsigned: createUnsignedToken({ roles: ['operator'] }),
        'unsigned, with a signature': createUnsignedToken({}) + signature,
        'signed with another key with the same kid': await sameKidSigner.sign(),
        'signed with an unknown key': await unknownKidSigner.sign(),
        expired: await gateway.key.sign({ exp: now - 1 }),
        'without expiry': await gateway.key.sign({ exp: undefined }),
        'not valid yet': await gateway.key.sign({ nbf: now + 60 }),
        'for another audience': await gateway.key.sign({ aud: 'another' }),
        'from another issuer': await gateway.key.sign({ iss: 'http://evil.test' }),
        'without subject': await gateway.key.sign({ sub: undefined }),
        'with changed claims': `${head}.${body.toString('base64url')}.${signature}`,
        'with unused bits in its signature': `${head}.${claims}.${setUnusedBit(signature)}`,
        padded: `${gateway.member}==`,
        'in the base64 alphabet': `${head}.${claims}.${signature.replace(/[-_]?.$/, '+A')}`,
        'with an infinite expiry': await signInfiniteClaim('exp'),
        'with a fractional expiry': await gateway.key.sign({ exp: now + 60.5 }),
        'with an infinite issue time': await signInfiniteClaim('iat'),
        'with an infinite not-before time': await signInfiniteClaim('nbf'),
        'with an infinite sign-in time': await signInfiniteClaim('auth_time'),
        'with a sign-in time that is not a number': await gateway.key.sign({ auth_time: String(now) }),
        truncated: gateway.member.slice(0, -4),
        nonsense: 'nonsense',
        empty: '',
      };
      for (const [what, token] of Object.entries(rejectedTokens)) {
        const answers = [await getMe(token), await gateway.call('/v1/things', { token })];
        expect({ what, status: answers.map(({ status }) => status) }).toEqual({ what, status: [401, 401] });
        expectProblem(answers[0]!, 401, 'unauthenticated');
      }
      const basic = await gateway.call('/v1/things', { headers: { authorization: 'Basic YTpi' } });
      expectProblem(basic, 401, 'unauthenticated');
      expect((await getMe(gateway.member)).status).toBe(200);
    });

    it('are rejected after they expire, even if accepted before', async () => {
      const shortLived = await gateway.key.sign({ exp: Math.floor(Date.now() / 1_000) + 2 });
      expect((await getMe(shortLived)).status).toBe(200);
      await eventually(async () => (await getMe(shortLived)).status === 401);
    });

    it('are accepted if signed with a new key', async () => {
      const next = await createSigner('k2', 'EdDSA');
      demoState.keys = [gateway.key.publicKey, next.publicKey];
      const token = await next.sign({ sub: 'm-7' });
      // An earlier test used an unknown key. The cooldown before the next JWKS request may still apply.
      await eventually(async () => (await getMe(token)).body.memberId === 'm-7');
    }, 20_000);

    it('grant access by role', async () => {
      const remove = (token?: string) =>
        gateway.call(`/v1/things/${id}`, { method: 'DELETE', ...(token && { token }) });
      expectProblem(await remove(), 401, 'unauthenticated');
      expectProblem(await remove(gateway.member), 403, 'forbidden');
      expectProblem(await remove(gateway.moderator), 403, 'forbidden');
      expect((await remove(gateway.operator)).status).toBe(204);
      expectProblem(
        await gateway.call(`/v1/things/${id}`, {
          method: 'PATCH',
          token: gateway.operator,
          body: { text: 'x' },
        }),
        403,
        'forbidden',
      );
    });

    it('grant access to sensitive routes only after a recent sign-in', async () => {
      const detonate = (token: string) => gateway.call('/v1/detonations', { method: 'POST', token });
      const now = Math.floor(Date.now() / 1_000);
      const operator = (claims: object) => gateway.key.sign({ sub: 'm-3', roles: ['operator'], ...claims });
      for (const claims of [{ auth_time: now - 310 }, {}]) {
        const answer = await detonate(await operator(claims));
        expectProblem(answer, 401, 'step-up-required');
        expect(answer.headers.get('www-authenticate')).toBe(
          'Bearer error="insufficient_user_authentication"',
        );
      }
      expectProblem(await detonate(await gateway.key.sign({ auth_time: now })), 403, 'forbidden');
      expect((await detonate(await operator({ auth_time: now - 200 }))).status).toBe(204);
    });

    it("grant access to the caller's own resources only", async () => {
      expect((await gateway.call('/v1/owned/m-1', { token: gateway.member })).body).toEqual({ yours: true });
      expectProblem(await gateway.call('/v1/owned/m-2', { token: gateway.member }), 404, 'not-found');
    });

    it("are the only source of the caller's identity", async () => {
      const caller = JSON.stringify({ memberId: 'm-0', roles: ['operator'] });
      const headers = {
        caller,
        'x-caller': caller,
        'x-member-id': 'm-0',
        'x-user-id': 'm-0',
        address: '203.0.113.9',
        'x-forwarded-for': '203.0.113.9',
        language: 'en',
      };
      await gateway.call('/v1/things', { headers });
      expect(demoState.contexts.at(-1)).toMatchObject({ language: 'nl', address: '127.0.0.1' });
      expect(demoState.contexts.at(-1)!.caller).toBeUndefined();
      expectProblem(await gateway.call('/v1/me', { headers }), 401, 'unauthenticated');
    });
  });
