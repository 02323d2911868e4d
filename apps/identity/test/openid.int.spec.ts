import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AnswerPage,
  GetOpenIdConfiguration,
  ListAudit,
  RotateSigningKey,
  SignOutEverywhere,
} from '@jogakbo/contracts-identity';
import { Browser, eventually } from '@jogakbo/testing';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as openid from 'openid-client';
import { OpenIdClients } from '../src/openid-clients.ts';
import { SigningKeys } from '../src/signing-keys.ts';
import { appUri, Partner, password, redirectUri, secret } from './partner.ts';

describe('OpenID Connect for third parties', () => {
  const partner = new Partner();

  beforeAll(() => partner.open());
  afterAll(() => partner.close());

  it('publishes its metadata: authorization codes with S256 only', () => {
    expect(partner.client.serverMetadata()).toMatchObject({
      issuer: partner.origin,
      jwks_uri: `${partner.origin}/.well-known/jwks.json`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      grant_types_supported: expect.arrayContaining(['authorization_code', 'refresh_token']),
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    });
    expect(partner.client.serverMetadata()['registration_endpoint']).toBeUndefined();
  });

  /** Fetches the discovery document of the library. @param headers that might change it */
  const fetchLibraryMetadata = async (headers: Record<string, string> = {}) => {
    const url = '/.well-known/openid-configuration';
    const { body } = await partner.identity.ask(AnswerPage, { method: 'GET', url, headers });
    return JSON.parse(body) as Record<string, unknown>;
  };

  it('serves the same metadata as the library', async () => {
    const document = await fetchLibraryMetadata();
    const configuration = await partner.identity.ask(GetOpenIdConfiguration, {});
    const claims = expect.arrayContaining(document['claims_supported'] as string[]) as unknown;
    expect(configuration).toEqual({ ...document, claims_supported: claims });
  });

  it('ignores host headers of requests', async () => {
    const forged = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
    expect(JSON.stringify(await fetchLibraryMetadata(forged))).not.toMatch('evil.example');
  });

  it('rejects a client id that equals the audience of the store', () => {
    const getError = (clientId: string) =>
      OpenIdClients.safeParse(JSON.stringify([{ clientId, name: 'x', redirectUris: [redirectUri] }])).error;
    expect(getError('jogakbo')?.message).toContain('audience');
    expect(getError('jogakbo2')).toBeUndefined();
  });

  it('accepts any loopback port for a native app, but no other host or path', async () => {
    const { address } = await partner.begin(await partner.discover('app', openid.None()), appUri);
    const open = async (redirect: string) => {
      const url = new URL(address);
      url.searchParams.set('redirect_uri', redirect);
      return (await new Browser(partner.origin).open(url.href)).status;
    };
    expect(await open(appUri.replace(':9/', ':40123/'))).toBe(200);
    expect(await open('http://localhost:9/app')).toBe(400);
    expect(await open(`${appUri}/other`)).toBe(400);
  });

  it('signs a member in with a partner, which receives the allowed claims', async () => {
    const { email, memberId } = await partner.createMember();
    const tokens = await partner.obtainTokens(email);
    expect(tokens.claims()).toMatchObject({ iss: partner.origin, aud: 'partner', sub: memberId });
    const claims = await openid.fetchUserInfo(partner.client, tokens.access_token, memberId);
    expect(claims).toEqual({ sub: memberId, name: '김하나', email, email_verified: false });
    const { keys } = (await (await fetch(`${partner.origin}/.well-known/jwks.json`)).json()) as {
      keys: object[];
    };
    expect(keys).toEqual([
      expect.objectContaining({ kty: 'EC', alg: 'ES256', use: 'sig' }),
      expect.objectContaining({ kty: 'RSA', alg: 'RS256', use: 'sig' }),
    ]);
    for (const key of keys)
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'rsa']) expect(key).not.toHaveProperty(secret);

    const operator = { caller: { memberId, roles: ['operator'] } };
    const { items } = await partner.identity.ask(ListAudit, { memberId }, operator);
    expect(items.map(({ kind, details }) => [kind, details['client']])).toEqual([
      ['client-allowed', 'partner'],
      ['signed-in', 'partner'],
    ]);
  });

  it('signs ID tokens with RS256 for a client that requests it', async () => {
    const { email, memberId } = await partner.createMember();
    const metadata = { id_token_signed_response_alg: 'RS256' };
    const client = await openid.discovery(new URL(partner.origin), 'rsa', metadata, openid.None(), {
      execute: [openid.allowInsecureRequests],
    });
    const tokens = await partner.obtainTokens(email, client, appUri);
    const keys = createRemoteJWKSet(new URL(`${partner.origin}/.well-known/jwks.json`));
    const { payload, protectedHeader } = await jwtVerify(tokens.id_token!, keys, { algorithms: ['RS256'] });
    expect(payload).toMatchObject({ sub: memberId, aud: 'rsa' });
    expect(protectedHeader.alg).toBe('RS256');
  });

  it('supports public clients', async () => {
    const { email, memberId } = await partner.createMember();
    const app = await partner.discover('app', openid.None());
    expect((await partner.obtainTokens(email, app, appUri)).claims()).toMatchObject({
      aud: 'app',
      sub: memberId,
    });
  });

  it('rotates refresh tokens, and revokes the grant on reuse after the grace period', async () => {
    const { email, memberId } = await partner.createMember();
    const first = await partner.obtainTokens(email);
    const second = await openid.refreshTokenGrant(partner.client, first.refresh_token!);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    await openid.fetchUserInfo(partner.client, second.access_token, memberId);
    await partner.identity.query(
      `UPDATE openid_record SET consumed_at = consumed_at - interval '11 seconds' WHERE consumed_at IS NOT NULL`,
    );
    const rejected = { error: 'invalid_grant' };
    await expect(openid.refreshTokenGrant(partner.client, first.refresh_token!)).rejects.toMatchObject(
      rejected,
    );
    await expect(openid.refreshTokenGrant(partner.client, second.refresh_token!)).rejects.toMatchObject(
      rejected,
    );
    await expect(openid.fetchUserInfo(partner.client, second.access_token, memberId)).rejects.toThrow();
    const operator = { caller: { memberId, roles: ['operator'] } };
    await eventually(async () => {
      const { items } = await partner.identity.ask(ListAudit, { memberId, limit: 1 }, operator);
      return items[0]!.kind === 'client-revoked' && items[0]!.details['client'] === 'partner';
    });
  });

  it('returns the same successor for concurrent refreshes within the grace period', async () => {
    const { email, memberId } = await partner.createMember();
    const { refresh_token: token } = await partner.obtainTokens(email);
    const refresh = (used: string) => openid.refreshTokenGrant(partner.client, used);
    const results = await Promise.all([refresh(token!), refresh(token!)]);
    const successors = new Set(results.map((result) => result.refresh_token!));
    expect(successors.size).toBe(1);
    const [successor] = successors;
    const third = await refresh(successor!);
    expect((await refresh(token!)).refresh_token).toBe(successor);
    expect((await refresh(successor!)).refresh_token).toBe(third.refresh_token);
    await openid.fetchUserInfo(partner.client, results[0]!.access_token, memberId);
    await openid.tokenRevocation(partner.client, third.refresh_token!);
    for (const ended of [token!, successor!, third.refresh_token!])
      await expect(refresh(ended)).rejects.toMatchObject({ error: 'invalid_grant' });
  });

  it('revokes the tokens that a partner returns', async () => {
    const { email, memberId } = await partner.createMember();
    const tokens = await partner.obtainTokens(email);
    await openid.tokenRevocation(partner.client, tokens.refresh_token!);
    await expect(openid.refreshTokenGrant(partner.client, tokens.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    await expect(openid.fetchUserInfo(partner.client, tokens.access_token, memberId)).rejects.toThrow();
  });

  it('accepts a code once and only with its verifier, and revokes it after a wrong one', async () => {
    const countCodes = () =>
      partner.identity.query<{ count: number }>(
        `SELECT count(*)::int FROM openid_record WHERE model = 'AuthorizationCode' AND consumed_at IS NULL`,
      ) as Promise<[{ count: number }]>;
    const { email } = await partner.createMember();
    const { address, checks } = await partner.begin();
    const url = await partner.authorize(address, email);
    const wrong = { ...checks, pkceCodeVerifier: openid.randomPKCECodeVerifier() };
    const rejected = { error: 'invalid_grant' };
    const app = await partner.discover('app', openid.None());
    // Another client does not revoke the code. A wrong verifier does.
    await expect(openid.authorizationCodeGrant(app, url, checks)).rejects.toMatchObject(rejected);
    const [{ count: before }] = await countCodes();
    await expect(openid.authorizationCodeGrant(partner.client, url, wrong)).rejects.toMatchObject(rejected);
    await expect(countCodes()).resolves.toEqual([{ count: before - 1 }]);
    await expect(openid.authorizationCodeGrant(partner.client, url, checks)).rejects.toMatchObject(rejected);
    const again = await partner.begin();
    const nextUrl = await partner.authorize(again.address, email);
    await openid.authorizationCodeGrant(partner.client, nextUrl, again.checks);
    await expect(openid.authorizationCodeGrant(partner.client, nextUrl, again.checks)).rejects.toMatchObject(
      rejected,
    );
  });

  it('shows an error page for a wrong redirect URI, without a redirect', async () => {
    const { address } = await partner.begin(partner.client, 'https://evil.example/callback');
    const { status, url, text } = await new Browser(partner.origin).open(address);
    expect({ status, origin: url.origin }).toEqual({ status: 400, origin: partner.origin });
    expect(text).toContain('redirect_uri');
  });

  it.each([
    ['without PKCE', { code_challenge: '', code_challenge_method: '' }],
    ['with plain PKCE', { code_challenge_method: 'plain' }],
  ])('rejects a request %s', async (_, more) => {
    const address = new URL((await partner.begin()).address);
    for (const [name, value] of Object.entries(more)) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    const { url } = await new Browser(partner.origin).open(address.href);
    expect(`${url.origin}${url.pathname}`).toBe(redirectUri);
    expect(url.searchParams.get('error')).toBe('invalid_request');
    expect(url.searchParams.has('code')).toBe(false);
  });

  it('ends with a sign-out everywhere, and survives a key rotation and a restart', async () => {
    const { email, memberId } = await partner.createMember();
    const caller = { memberId, roles: ['member'] };
    const before = await partner.obtainTokens(email);
    await partner.identity.ask(RotateSigningKey, {}, { caller });
    await partner.identity.query('UPDATE signing_key SET active_at = now() WHERE active_at > now()');
    await partner.identity.get(SigningKeys).load();
    await partner.identity.restart();
    const after = await openid.refreshTokenGrant(partner.client, before.refresh_token!);
    expect(after.id_token).toBeDefined();
    await openid.fetchUserInfo(partner.client, after.access_token, memberId);
    await partner.identity.ask(SignOutEverywhere, {}, { caller });
    await expect(openid.refreshTokenGrant(partner.client, after.refresh_token!)).rejects.toMatchObject({
      error: 'invalid_grant',
    });
    await expect(openid.fetchUserInfo(partner.client, after.access_token, memberId)).rejects.toThrow();
  });

  it('stores no token, code or cookie in clear', async () => {
    const { email } = await partner.createMember();
    const tokens = await partner.obtainTokens(email);
    const { address } = await partner.begin();
    const browser = new Browser(partner.origin);
    const code = (await partner.authorize(address, email, browser)).searchParams.get('code')!;
    // A second sign-in is in progress, so that its interaction is stored too.
    await browser.open((await partner.begin()).address);
    const rows = JSON.stringify(await partner.identity.query('SELECT * FROM openid_record'));
    expect(rows).toContain('"Session"');
    expect(rows).toContain('"Interaction"');
    expect(browser.cookieValues.length).toBeGreaterThan(2);
    for (const token of [
      tokens.access_token,
      tokens.refresh_token!,
      code,
      ...browser.cookieValues,
      secret,
      password,
    ])
      expect(rows).not.toContain(token);
  });
});
