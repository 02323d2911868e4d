import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Store } from '../../src/store.ts';

export const impostors = (store: Store) =>
  describe('forged requests', () => {
    let productId: string;
    /** Member id that the requests claim. */
    let victim: string;

    beforeAll(async () => {
      productId = await store.createProduct(1);
      const { token } = await store.createMember();
      victim = (await store.call('GET', '/v1/members/me', { token })).body.memberId;
    });

    it('with a method override use their real method', async () => {
      const merchant = store.getToken('merchant');
      for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override', '_method']) {
        const headers = { [name]: 'DELETE', 'if-match': '*', 'idempotency-key': randomUUID() };
        expect(
          (await store.call('GET', `/v1/products/${productId}`, { token: merchant, headers })).status,
        ).toBe(200);
        const posted = await store.call('POST', `/v1/products/${productId}`, {
          token: merchant,
          headers,
          body: {},
        });
        expect(posted.status).toBe(405);
        const queried = await store.call('GET', `/v1/products/${productId}?_method=DELETE`, {
          token: merchant,
          headers,
        });
        expect(queried.status).toBe(400);
      }
      expect((await store.call('GET', `/v1/products/${productId}`)).status).toBe(200);
    });

    it('with an identity in any header except Authorization are anonymous', async () => {
      const operator = JSON.stringify({ memberId: victim, roles: ['operator'] });
      const claims = {
        ...Object.fromEntries(
          [
            'x-jogakbo-member',
            'x-member-id',
            'x-user-id',
            'x-user',
            'x-remote-user',
            'remote-user',
            'memberid',
            'user-id',
          ].map((name) => [name, victim]),
        ),
        ...Object.fromEntries(
          ['x-jogakbo-roles', 'x-roles', 'x-role', 'roles'].map((name) => [name, 'operator']),
        ),
        ...Object.fromEntries(
          ['caller', 'x-caller', 'x-jogakbo-caller', 'context'].map((name) => [name, operator]),
        ),
        ...{
          'x-original-url': '/v1/products',
          'x-rewrite-url': '/v1/products',
          'x-forwarded-user': 'operator',
        },
        ...{
          'x-forwarded-host': 'evil.example',
          'x-forwarded-prefix': '/v1/products',
          'x-ssl-client-verify': 'SUCCESS',
        },
      };
      expect((await store.call('GET', '/v1/members/me', { headers: claims })).status).toBe(401);
      expect((await store.call('GET', '/v1/ops/audit', { headers: claims })).status).toBe(401);
      const { token } = await store.createMember();
      expect((await store.call('GET', '/v1/ops/audit', { token, headers: claims })).status).toBe(403);
      const me = await store.call('GET', '/v1/members/me', { token, headers: claims });
      expect(me.body).toMatchObject({ roles: ['member'] });
      expect(me.body.memberId).not.toBe(victim);
      expect(me.text + JSON.stringify([...me.headers])).not.toContain('evil.example');
    });

    it('with a forwarded address are rate-limited and audited with their real address', async () => {
      const readRemaining = async (address: string) => {
        const headers = {
          'x-forwarded-for': address,
          forwarded: `for=${address}`,
          'x-real-ip': address,
          'true-client-ip': address,
          'cf-connecting-ip': address,
        };
        const { headers: answered } = await store.call('GET', '/v1/products?limit=1', { headers });
        return Number(/"address";r=(\d+)/.exec(answered.get('ratelimit')!)![1]);
      };
      const first = await readRemaining('203.0.113.1');
      const second = await readRemaining('203.0.113.2');
      // At most one new window can have begun between these requests.
      expect(second < first || (await readRemaining('203.0.113.3')) < second).toBe(true);
      const { email, token } = await store.createMember();
      const headers = {
        'x-forwarded-for': '203.0.113.4',
        forwarded: 'for=203.0.113.4',
        address: '203.0.113.4',
      };
      await store.call('POST', '/v1/sessions', { headers, body: { email, password: 'not this one' } });
      const { memberId } = (await store.call('GET', '/v1/members/me', { token })).body;
      const { body } = await store.call('GET', `/v1/ops/audit?memberId=${memberId}`, {
        token: store.getToken('operator'),
      });
      expect(new Set(body.items.map(({ address }: { address: string }) => address))).toEqual(
        new Set(['127.0.0.1']),
      );
    });
  });
