import { describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { seen } from './demo.ts';
import { type GatewayUnderTest, expectProblem, id } from './gateway-under-test.ts';
import { issuer, signer, unsigned } from './signer.ts';

export const access = (gateway: GatewayUnderTest) =>
  describe('tokens', () => {
    const me = (token?: string) => gateway.call('/v1/me', token === undefined ? {} : { token });

    it('say who the caller is', async () => {
      expect((await me(gateway.member)).body).toEqual({ memberId: 'm-1', sessionId: 's-1', language: 'ko' });
    });

    it('are needed where the route is not public', async () => {
      const answer = await me();
      expectProblem(answer, 401, 'unauthenticated');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    });

    it('are refused when forged, expired or foreign, on public routes too', async () => {
      const now = Math.floor(Date.now() / 1_000);
      const stranger = await signer('k1');
      const unknown = await signer('k-unknown');
      const [head, claims, signature] = gateway.member.split('.') as [string, string, string];
      // 64 bytes leave four bits of the last character unused: zero in the canonical form.
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
      const withUnusedBit = (text: string) =>
        text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) + 1];
      const beyondNumbers = (name: string) =>
        gateway.key.signText(
          `{"iss":"${issuer}","aud":"jogakbo","sub":"m-1","exp":${now + 60},"${name}":1e400}`,
        );
      const body = Buffer.from(JSON.stringify({ iss: issuer, aud: 'jogakbo', sub: 'm-9', exp: now + 60 }));
      const bad: Record<string, string> = {
        unsigned: unsigned({ roles: ['operator'] }),
        'unsigned, with a signature': unsigned({}) + signature,
        'of another key with the same name': await stranger.sign(),
        'of an unknown key': await unknown.sign(),
        expired: await gateway.key.sign({ exp: now - 1 }),
        'without end': await gateway.key.sign({ exp: undefined }),
        'not valid yet': await gateway.key.sign({ nbf: now + 60 }),
        'for somebody else': await gateway.key.sign({ aud: 'another' }),
        'of another issuer': await gateway.key.sign({ iss: 'http://evil.test' }),
        'without subject': await gateway.key.sign({ sub: undefined }),
        changed: `${head}.${body.toString('base64url')}.${signature}`,
        'with unused bits in its signature': `${head}.${claims}.${withUnusedBit(signature)}`,
        padded: `${gateway.member}==`,
        'in the alphabet of base64': `${head}.${claims}.${signature.replace(/[-_]?.$/, '+A')}`,
        'that expires beyond the number range': await beyondNumbers('exp'),
        'that expires within a second': await gateway.key.sign({ exp: now + 60.5 }),
        'issued beyond the number range': await beyondNumbers('iat'),
        'valid from beyond the number range': await beyondNumbers('nbf'),
        'of a sign-in beyond the number range': await beyondNumbers('auth_time'),
        'of a sign-in that is no number': await gateway.key.sign({ auth_time: String(now) }),
        cut: gateway.member.slice(0, -4),
        nonsense: 'nonsense',
        empty: '',
      };
      for (const [what, token] of Object.entries(bad)) {
        const answers = [await me(token), await gateway.call('/v1/things', { token })];
        expect({ what, status: answers.map(({ status }) => status) }).toEqual({ what, status: [401, 401] });
        expectProblem(answers[0]!, 401, 'unauthenticated');
      }
      const basic = await gateway.call('/v1/things', { headers: { authorization: 'Basic YTpi' } });
      expectProblem(basic, 401, 'unauthenticated');
      expect((await me(gateway.member)).status).toBe(200);
    });

    it('end when they end, though they were seen before', async () => {
      const short = await gateway.key.sign({ exp: Math.floor(Date.now() / 1_000) + 2 });
      expect((await me(short)).status).toBe(200);
      await eventually(async () => (await me(short)).status === 401);
    });

    it('of a key that is new are taken', async () => {
      const next = await signer('k2', 'EdDSA');
      seen.keys = [gateway.key.publicKey, next.publicKey];
      const token = await next.sign({ sub: 'm-7' });
      // An unknown key was shown a moment ago: it may have to cool down first.
      await eventually(async () => (await me(token)).body.memberId === 'm-7');
    }, 20_000);

    it('open what their roles open', async () => {
      const remove = (token?: string) =>
        gateway.call(`/v1/things/${id}`, { method: 'DELETE', ...(token && { token }) });
      expectProblem(await remove(), 401, 'unauthenticated');
      expectProblem(await remove(gateway.member), 403, 'forbidden');
      expectProblem(await remove(gateway.merchant), 403, 'forbidden');
      expect((await remove(gateway.operator)).status).toBe(204);
      expectProblem(
        await gateway.call(`/v1/things/${id}`, { method: 'PATCH', token: gateway.operator, body: { text: 'x' } }),
        403,
        'forbidden',
      );
    });

    it('open what is dangerous only after a recent sign-in', async () => {
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

    it('open what is theirs, and nothing else', async () => {
      expect((await gateway.call('/v1/owned/m-1', { token: gateway.member })).body).toEqual({ yours: true });
      expectProblem(await gateway.call('/v1/owned/m-2', { token: gateway.member }), 404, 'not-found');
    });

    it('are the only thing that says who the caller is', async () => {
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
      expect(seen.contexts.at(-1)).toMatchObject({ language: 'ko', address: '127.0.0.1' });
      expect(seen.contexts.at(-1)!.caller).toBeUndefined();
      expectProblem(await gateway.call('/v1/me', { headers }), 401, 'unauthenticated');
    });
  });
