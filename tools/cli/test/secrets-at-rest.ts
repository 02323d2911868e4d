import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { findAtRest } from './at-rest.ts';
import { type Store } from './store.ts';

export const secretsAtRest = (store: Store) =>
  describe('what was entrusted to the store', () => {
    const secrets: Record<string, string> = {};
    /** Texts that nobody else has: what is not their fault cannot be found. */
    const secret = (what: string) => (secrets[what] = `${what.replaceAll(' ', '-')}-${randomUUID()}`);
    const clear: Record<string, string> = {};

    it('is taken: sign-up, sign-in, refresh, an order, a secret of a service', async () => {
      const email = `${randomUUID()}@example.com`;
      const credentials = { email, password: secret('a password') };
      await store.call('POST', '/v1/members', { body: { ...credentials, name: 'Kim Jogak' } });
      await store.call('POST', '/v1/sessions', { body: { email, password: secret('a wrong password') } });
      const { body: tokens } = await store.call('POST', '/v1/sessions', { body: credentials });
      const { body: refreshed } = await store.call('POST', '/v1/sessions/refresh', {
        body: { refreshToken: tokens.refreshToken },
      });
      secrets['a refresh token'] = tokens.refreshToken;
      secrets['the refresh token after it'] = refreshed.refreshToken;
      secrets['an access token'] = tokens.accessToken;
      const { accessToken: token } = refreshed;

      const order = store.order(await store.product(5));
      order.shipTo.line1 = secret('a street');
      const key = randomUUID();
      const { status, body } = await store.buy(token, order, key);
      expect([status, body.status]).toEqual([201, 'confirmed']);
      clear['an order'] = body.orderId;
      // Its answer is kept, encrypted.
      expect((await store.buy(token, order, key)).body.orderId).toBe(body.orderId);
      const { body: shown } = await store.call('GET', `/v1/orders/${body.orderId}`, { token });
      expect(shown.shipTo.line1).toBe(order.shipTo.line1);
      // No provider knows this one: it comes as far as the question whether one does.
      const unknown = { ...order, payment: { token: secret('a payment token') } };
      expect((await store.buy(token, unknown)).status).toBe(422);
      // All that were ever paid with here; its name is in the programs, which are elsewhere.
      secrets['the payment token of every order'] = order.payment.token;

      const change = {
        ...{ profile: 'of-nobody', reason: 'a test' },
        settings: [{ key: 'providerToken', value: secret('a setting'), secret: true }],
      };
      const operator = store.staff('operator');
      const path = '/v1/ops/config/payments/versions';
      expect((await store.call('POST', path, { token: operator, body: change })).status).toBe(201);
    });

    it('lies nowhere in clear: not with the broker, not with the database, in no log', () => {
      const others = findAtRest(store.home, clear);
      // What may be read is found where it must be: the same search would find the rest.
      for (const place of ['rabbitmq/', 'postgres/'])
        expect(others).toContainEqual(expect.stringMatching(`^an order: ${place}`));
      expect(findAtRest(store.home, secrets)).toEqual([]);
    });
  });
