import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getAction, Browser } from '@jogakbo/testing';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as openid from 'openid-client';
import { Store } from '../src/store.ts';

const store = new Store();
const password = 'a long password of a member';
/** Redirect URI of the sample client. Any port is allowed. */
const redirectUri = 'http://localhost:41234/callback';

let origin: string;
let client: openid.Configuration;
beforeAll(async () => {
  // No grace period: reuse of a refresh token revokes all tokens at once.
  await store.start(['--dense', '--only', 'gateway,identity,catalog', '--no-seed'], { REFRESH_GRACE: '0' });
  origin = `http://localhost:${store.port}`;
  client = await openid.discovery(new URL(origin), 'example', undefined, openid.None(), {
    execute: [openid.allowInsecureRequests],
  });
}, 180_000);
afterAll(() => store.remove());

let nth = 0;
async function createMember(): Promise<string> {
  const email = `visitor-${(nth += 1)}@example.com`;
  await store.call('POST', '/v1/members', { body: { email, password, name: 'Kim' } });
  return email;
}

async function startAuthorization() {
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const address = openid.buildAuthorizationUrl(client, {
    ...{ redirect_uri: redirectUri, scope: 'openid profile email offline_access', prompt: 'consent', state },
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  return { address, checks: { pkceCodeVerifier: verifier, expectedState: state } };
}

async function obtainTokens(email: string, browser = new Browser(origin)) {
  const { address, checks } = await startAuthorization();
  const page = await browser.open(address.href);
  const consentPage = await browser.open(getAction(page.text), { email, password });
  const { url } = await browser.open(getAction(consentPage.text), {});
  return openid.authorizationCodeGrant(client, url, checks);
}

describe('a member signs in to another app through the gateway', () => {
  it('with a certified client: discovery, code with PKCE, userinfo, refresh', async () => {
    expect(client.serverMetadata()).toMatchObject({
      issuer: origin,
      authorization_endpoint: `${origin}/oidc/auth`,
      jwks_uri: `${origin}/.well-known/jwks.json`,
      code_challenge_methods_supported: ['S256'],
    });
    const email = await createMember();
    const first = await obtainTokens(email);
    const { sub, aud } = first.claims()!;
    expect(aud).toBe('example');
    const info = await openid.fetchUserInfo(client, first.access_token, sub);
    expect(info).toMatchObject({ sub, name: 'Kim', email });

    const second = await openid.refreshTokenGrant(client, first.refresh_token!);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    for (const { refresh_token: used } of [first, second])
      await expect(openid.refreshTokenGrant(client, used!)).rejects.toMatchObject({ error: 'invalid_grant' });
    await expect(openid.fetchUserInfo(client, second.access_token, sub)).rejects.toThrow();
  });

  it('with tokens that the store itself rejects', async () => {
    const { access_token: access, id_token: id } = await obtainTokens(await createMember());
    for (const token of [access, id]) {
      expect((await store.call('GET', '/v1/members/me', { token })).status).toBe(401);
      expect((await store.call('GET', '/v1/products', { token })).status).toBe(401);
    }
  });

  it('and the same keys verify the store’s own tokens', async () => {
    const keys = createRemoteJWKSet(new URL(client.serverMetadata().jwks_uri!));
    const checks = { issuer: client.serverMetadata().issuer, audience: 'jogakbo' };
    const { payload } = await jwtVerify(store.getToken('operator'), keys, checks);
    expect(payload['roles']).toContain('operator');
    const { authorization_endpoint: _, ...rest } = client.serverMetadata();
    expect(rest).toBeDefined();
    const own = await openid.fetchProtectedResource(
      client,
      store.getToken('operator'),
      new URL(`${origin}/v1/members/me`),
      'GET',
    );
    expect(own.status).toBe(200);
    await expect(
      openid.fetchUserInfo(client, store.getToken('operator'), openid.skipSubjectCheck),
    ).rejects.toThrow();
  });

  it('a second time without a password, in the same browser', async () => {
    const browser = new Browser(origin);
    await obtainTokens(await createMember(), browser);
    const { address } = await startAuthorization();
    const page = await browser.open(address.href);
    expect(page.text).not.toContain('type="password"');
    expect(page.text).toContain('/consent"');
  });
});

describe('the OpenID Connect endpoints', () => {
  it.each([
    ['a request without PKCE', (url: URL) => url.searchParams.delete('code_challenge'), 'invalid_request'],
    ['plain PKCE', (url: URL) => url.searchParams.set('code_challenge_method', 'plain'), 'invalid_request'],
  ])('reject %s', async (_, modify, error) => {
    const { address } = await startAuthorization();
    modify(address);
    const { url } = await new Browser(origin).open(address.href);
    expect(url.searchParams.get('error')).toBe(error);
    expect(url.searchParams.has('code')).toBe(false);
  });

  it.each([
    'https://evil.example/callback',
    'http://localhost:41234/other',
    'http://evil.example:41234/callback',
  ])('never redirect to %s', async (otherUri) => {
    const { address } = await startAuthorization();
    address.searchParams.set('redirect_uri', otherUri);
    const { status, url, text } = await new Browser(origin).open(address.href);
    expect({ status, origin: url.origin }).toEqual({ status: 400, origin });
    expect(text).toContain('<main>');
  });

  it('count failed sign-ins by the real address, together with those at the API', async () => {
    const email = await createMember();
    const browser = new Browser(origin);
    const action = getAction((await browser.open((await startAuthorization()).address.href)).text);
    const forged = (i: number) => ({
      'x-forwarded-for': `198.51.100.${i}`,
      forwarded: `for=198.51.100.${i}`,
    });
    for (let i = 0; i < 10; i += 1) {
      const { status } = await browser.open(action, { email, password: 'wrong' }, forged(i));
      expect(status).toBe(401);
    }
    const rejected = await browser.open(action, { email, password }, forged(99));
    expect(rejected.status).toBe(429);
    const api = await store.call('POST', '/v1/sessions', { body: { email, password }, headers: forged(98) });
    expect(api).toMatchObject({ status: 429, body: { code: 'too-many-attempts' } });
    for (const { headers } of [rejected, api])
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(800);
  });

  it('reject a form of another site', async () => {
    const email = await createMember();
    const browser = new Browser(origin);
    const action = getAction((await browser.open((await startAuthorization()).address.href)).text);
    const { status } = await browser.open(action, { email, password }, { origin: 'https://evil.example' });
    expect(status).toBe(400);
    expect((await browser.open(action, { email, password })).status).toBe(200);
  });

  it('do not exist on the port of identity itself', async () => {
    const { url } = (await store.findRow('identity'))!;
    for (const path of ['/oidc/auth', '/oidc/token', '/.well-known/openid-configuration'])
      expect((await fetch(url + path, { method: 'POST' })).status).toBe(404);
  });

  it('reject malformed requests without a server error', async () => {
    const address = `http://127.0.0.1:${store.port}`;
    const junk = [
      '%ff%fe',
      'a'.repeat(3_000),
      '한글',
      '..%2f..%2fhealth',
      "' OR 1=1 --",
      '{"a":{"$gt":""}}',
      '\u0001',
    ];
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const paths = [
      'auth',
      'token',
      'me',
      'token/revocation',
      'auth/x',
      'interaction/x',
      'interaction/x/sign-in',
    ];
    const statuses = new Set<number>();
    for (const path of [...paths, 'interaction/x/consent', 'session/end', 'request', 'jwks', ...junk]) {
      for (const one of junk) {
        const text = encodeURIComponent(one);
        const url = `${address}/oidc/${encodeURI(path)}?client_id=${text}&scope=${text}&uid=${text}`;
        const body = `grant_type=${text}&code=${text}&refresh_token=${text}&email=${text}&password=${text}`;
        const junkCookie = { cookie: `oidc_session=${text}; oidc_interaction=${text}; oidc_resume=${text}` };
        const options: RequestInit[] = [
          { headers: { ...junkCookie, authorization: `Basic ${Buffer.from(one).toString('base64')}` } },
          { method: 'POST', headers: { ...form, ...junkCookie }, body },
          { method: 'POST', headers: { ...form, authorization: `Bearer ${text}` }, body: one },
        ];
        for (const init of options) {
          const { status } = await fetch(url, { redirect: 'manual', ...init });
          if (status !== 429) statuses.add(status);
        }
      }
      // The pages share the rate limit of this address.
    }
    expect([...statuses].filter((status) => status >= 500)).toEqual([]);
  });
});
