import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getAction, Browser } from '@jogakbo/testing';
import * as openid from 'openid-client';
import { Partner, password, redirectUri } from './partner.ts';

describe('the pages of OpenID Connect', () => {
  const partner = new Partner();

  beforeAll(() => partner.open());
  afterAll(() => partner.close());

  it('are in Korean and English, load no resources and cannot be framed', async () => {
    const { email } = await partner.createMember();
    const { address } = await partner.begin();
    const korean = await new Browser(partner.origin, 'ko-KR,ko;q=0.9,en;q=0.8').open(address);
    const browser = new Browser(partner.origin, 'en-US,en;q=0.9,ko;q=0.5');
    const english = await browser.open(address);
    expect(korean.text).toContain('<html lang="ko">');
    expect(korean.text).toContain('비밀번호');
    expect(english.text).toContain('Sign in to &lt;Partner&gt; &amp; Co');
    expect(english.text).toContain('light-dark(');
    for (const { text, headers } of [korean, english]) {
      expect(text).not.toMatch(/<script|src=|<link|url\(|<Partner>/);
      const policy = headers.get('content-security-policy')!;
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).toContain("form-action 'self' https://partner.example;");
    }
    const action = getAction(english.text);
    const wrong = await browser.open(action, { email, password: 'wrong' });
    expect(wrong.status).toBe(401);
    expect(wrong.text).toContain('role="alert"');
    const unknown = await browser.open(action, { email: 'unknown@example.com', password: 'wrong' });
    expect(unknown.text).toBe(wrong.text);
  });

  it('count failures like the API, by the client address that the gateway sends', async () => {
    const { email } = await partner.createMember();
    const { address } = await partner.begin();
    const browser = new Browser(partner.origin);
    const action = getAction((await browser.open(address)).text);
    for (let i = 0; i < 10; i++)
      await browser.open(action, { email, password: 'wrong' }, { 'x-forwarded-for': `198.51.100.${i}` });
    const rejected = await browser.open(action, { email, password });
    expect(rejected.status).toBe(429);
    expect(Number(rejected.headers.get('retry-after'))).toBeGreaterThan(800);
    partner.gateway.address = '203.0.113.8';
    const elsewhere = new Browser(partner.origin);
    const page = await elsewhere.open((await partner.begin()).address);
    expect((await elsewhere.open(getAction(page.text), { email, password })).status).toBe(200);
    await partner.identity.query('DELETE FROM sign_in_failures');
  });

  it('reject forms of other origins and of other interactions', async () => {
    const { email } = await partner.createMember();
    const { address } = await partner.begin();
    const browser = new Browser(partner.origin);
    const action = getAction((await browser.open(address)).text);
    const form = { email, password };
    for (const origin of ['https://evil.example', 'null'])
      expect((await browser.open(action, form, { origin })).status).toBe(400);
    expect((await new Browser(partner.origin).open(action, form)).status).toBe(400);
    const other = getAction((await new Browser(partner.origin).open((await partner.begin()).address)).text);
    const rejected = await browser.open(other, form);
    expect(rejected.status).toBe(400);
    expect(rejected.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(rejected.headers.get('content-security-policy')).toContain("default-src 'none'");
    const consent = action.replace(/sign-in$/, 'consent');
    expect((await browser.open(consent, {})).status).toBe(400);
  });

  it('accept authorization requests as a form from any origin', async () => {
    const { email } = await partner.createMember();
    const { address, checks } = await partner.begin();
    const { pathname, searchParams } = new URL(address);
    for (const origin of ['https://partner.example', 'null', partner.origin]) {
      const browser = new Browser(partner.origin);
      const page = await browser.open(pathname, Object.fromEntries(searchParams), { origin });
      expect(page.status).toBe(200);
      const consentPage = await browser.open(getAction(page.text), { email, password });
      const allowed = await browser.open(getAction(consentPage.text), {});
      const { expires_in } = await openid.authorizationCodeGrant(partner.client, allowed.url, checks);
      expect(expires_in).toBe(600);
    }
    const wrong = await new Browser(partner.origin).open(pathname, {
      ...Object.fromEntries(searchParams),
      client_id: 'x',
    });
    expect(wrong.status).toBe(400);
  });

  it('support response_mode=form_post, with only its own script allowed', async () => {
    const { email } = await partner.createMember();
    const { address, checks } = await partner.begin();
    const browser = new Browser(partner.origin);
    const page = await browser.open(`${address}&response_mode=form_post`);
    const consentPage = await browser.open(getAction(page.text), { email, password });
    const { status, headers, text } = await browser.open(getAction(consentPage.text), {});
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(getAction(text)).toBe(redirectUri);
    const [, script] = /<script>([^]*?)<\/script>/.exec(text)!;
    expect(text.match(/<script/g)).toHaveLength(1);
    const policy = headers
      .get('content-security-policy')!
      .split(';')
      .map((one) => one.trim());
    expect(policy).toEqual([
      "default-src 'none'",
      `script-src 'sha256-${createHash('sha256').update(script!).digest('base64')}'`,
      ...["frame-ancestors 'none'", "base-uri 'none'"],
    ]);
    const fields = [...text.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name, value]) => [
      name,
      value,
    ]);
    const callback = new Request(redirectUri, {
      method: 'POST',
      body: new URLSearchParams(fields as [string, string][]),
    });
    const tokens = await openid.authorizationCodeGrant(partner.client, callback, checks);
    expect(tokens.claims()!.aud).toBe('partner');
  });

  it('return access_denied to the partner if the member refuses', async () => {
    const { address } = await partner.begin();
    const browser = new Browser(partner.origin);
    const action = getAction((await browser.open(address)).text).replace(/sign-in$/, 'refuse');
    const { url } = await browser.open(action, {});
    expect(url.searchParams.get('error')).toBe('access_denied');
  });
});
