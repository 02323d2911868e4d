import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { findAtRest } from './at-rest.ts';
import { type Store } from '../../src/store.ts';

export const secretsAtRest = (store: Store) =>
  describe('secrets of members and services', () => {
    const secrets: Record<string, string> = {};
    /** Unique texts, so that every match is a leak. */
    const createSecret = (what: string) => (secrets[what] = `${what.replaceAll(' ', '-')}-${randomUUID()}`);
    const clear: Record<string, string> = {};

    it('are accepted: sign-up, sign-in, refresh, an order, a secret of a service', async () => {
      const email = `${randomUUID()}@example.com`;
      const credentials = { email, password: createSecret('a password') };
      await store.call('POST', '/v1/members', { body: { ...credentials, name: 'Kim Jogak' } });
      await store.call('POST', '/v1/sessions', {
        body: { email, password: createSecret('a wrong password') },
      });
      const { body: tokens } = await store.call('POST', '/v1/sessions', { body: credentials });
      const { body: refreshed } = await store.call('POST', '/v1/sessions/refresh', {
        body: { refreshToken: tokens.refreshToken },
      });
      secrets['a refresh token'] = tokens.refreshToken;
      secrets['the refresh token after it'] = refreshed.refreshToken;
      secrets['an access token'] = tokens.accessToken;
      const { accessToken: token } = refreshed;

      const order = store.buildOrder(await store.createProduct(5));
      order.shipTo.line1 = createSecret('a street');
      const key = randomUUID();
      const { status, body } = await store.buy(token, order, key);
      expect([status, body.status]).toEqual([201, 'confirmed']);
      clear['an order'] = body.orderId;
      // The stored response is encrypted.
      expect((await store.buy(token, order, key)).body.orderId).toBe(body.orderId);
      const { body: shown } = await store.call('GET', `/v1/orders/${body.orderId}`, { token });
      expect(shown.shipTo.line1).toBe(order.shipTo.line1);
      // No provider knows this token, so the order is rejected.
      const unknown = { ...order, payment: { token: createSecret('a payment token') } };
      expect((await store.buy(token, unknown)).status).toBe(422);
      // The programs contain this token, too: they are not searched.
      secrets['the payment token of every order'] = order.payment.token;

      const change = {
        ...{ profile: 'unused', reason: 'a test' },
        settings: [{ key: 'providerToken', value: createSecret('a setting'), secret: true }],
      };
      const operator = store.getToken('operator');
      const path = '/v1/ops/config/payments/versions';
      expect((await store.call('POST', path, { token: operator, body: change })).status).toBe(201);
    });

    it('are not stored as plain text in the broker, the database or a log', () => {
      const readable = findAtRest(store.home, clear);
      // Control: the same search finds a text that is stored as plain text.
      for (const place of ['rabbitmq/', 'postgres/'])
        expect(readable).toContainEqual(expect.stringMatching(`^an order: ${place}`));
      expect(findAtRest(store.home, secrets)).toEqual([]);
    });
  });
