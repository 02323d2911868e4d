import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Rejection, service, type PageAnswer, type PageRequest } from '@jogakbo/contract';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Service, type RunningService } from '@jogakbo/service';
import { eventually } from '@jogakbo/testing';
import { Controller } from '@nestjs/common';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

const sites = service('sites', 'Serves its own pages.');
const AnswerSite = sites.pages('answer', { path: '/site', cookies: 'site_', limit: '20/minute' });
/** Declares pages below the paths of other services. */
const takeover = service('takeover');
const AnswerAll = takeover.pages('answer', { path: '/v1', cookies: 'any' });

let received: (PageRequest & { address: string | undefined })[] = [];
const page: PageAnswer = { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>안녕</p>' };
let answer: PageAnswer | Rejection = page;

@Controller()
class SiteHandler {
  @Handles(AnswerSite)
  async site(request: PageRequest, { address }: MessageContext): Promise<PageAnswer> {
    received.push({ ...request, address });
    if (answer instanceof Rejection) throw answer;
    return answer;
  }
}

@Controller()
class TakeoverHandler {
  @Handles(AnswerAll)
  async all(): Promise<PageAnswer> {
    return { status: 200, headers: {}, body: 'stolen' };
  }
}

@Service({ contract: sites, handlers: [SiteHandler] })
class SitesModule {}
@Service({ contract: takeover, handlers: [TakeoverHandler] })
class TakeoverModule {}

describe('pages that a service serves itself', () => {
  const gateway = new GatewayUnderTest();
  const running: RunningService[] = [];
  let nth = 0;
  /** Each test uses its own client address because of the rate limit. */
  let from: Record<string, string>;
  beforeAll(async () => {
    await gateway.start({ TRUST_PROXY: 'loopback' });
    running.push(await gateway.startService(SitesModule), await gateway.startService(TakeoverModule));
    await eventually(async () => (await call('/site/x')).status !== 404);
  });
  afterAll(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await gateway.stop();
  });
  beforeEach(() => {
    from = { 'x-forwarded-for': `203.0.113.${(nth += 1)}` };
    received = [];
    answer = page;
  });

  const call = async (path: string, init: RequestInit & { headers?: Record<string, string> } = {}) => {
    const headers = { ...from, ...init.headers };
    const response = await fetch(gateway.service.url + path, { redirect: 'manual', ...init, headers });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    call(path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });

  it('receive the request unchanged, with allowed headers and cookies only', async () => {
    const response = await call('/site/a%20b/../c?x=1&x=%ED%95%9C', {
      headers: {
        cookie: 'site_a=1; other=2; site_a.sig=3',
        authorization: 'Basic abc',
        'accept-language': 'en',
        forwarded: 'for=1.1.1.1',
        'x-jogakbo-member': 'm-9',
        'x-real-ip': '1.1.1.1',
        origin: 'https://a.b',
      },
    });
    expect(response).toMatchObject({ status: 200, text: '<p>안녕</p>' });
    expect(received).toEqual([
      {
        method: 'GET',
        url: '/site/c?x=1&x=%ED%95%9C',
        address: from['x-forwarded-for'],
        headers: {
          accept: '*/*',
          'accept-language': 'en',
          authorization: 'Basic abc',
          origin: 'https://a.b',
          cookie: 'site_a=1; site_a.sig=3',
        },
      },
    ]);
  });

  it('may set their own cookies, redirects and Content-Security-Policy only', async () => {
    const policy = "default-src 'none'; style-src 'self'";
    answer = {
      status: 303,
      body: '',
      headers: {
        location: 'https://partner.example/?code=1',
        'content-security-policy': policy,
        vary: 'Accept-Language',
        'access-control-allow-origin': '*',
        server: 'inside/1',
        'set-cookie': [
          ...['site_a=1; path=/site; httponly', 'site_b=2; path=/site/x', 'other=3; path=/site'],
          ...['site_c=4; path=/', 'site_d=5', 'site_e=6; path=/sites', 'site_f=7; path=/site; domain=b.c'],
        ],
      },
    };
    const { status, headers } = await call('/site/x');
    expect(status).toBe(303);
    expect(Object.fromEntries(headers)).toMatchObject({
      location: 'https://partner.example/?code=1',
      'content-security-policy': policy,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    expect(headers.getSetCookie()).toEqual(['site_a=1; path=/site; httponly', 'site_b=2; path=/site/x']);
    for (const name of ['access-control-allow-origin', 'server']) expect(headers.has(name)).toBe(false);
  });

  it('receive forms, without cookies if the form is from another origin', async () => {
    const { host, origin } = new URL(gateway.service.url);
    const send = async (headers: Record<string, string>) => {
      await post('/site/form', 'a=1&b=%ED%95%9C', { cookie: 'site_a=1', ...headers });
      return received.at(-1)!.headers['cookie'];
    };
    expect(await send({})).toBe('site_a=1');
    expect(received.at(-1)).toMatchObject({ method: 'POST', url: '/site/form', body: 'a=1&b=%ED%95%9C' });
    expect(await send({ origin })).toBe('site_a=1');
    for (const other of ['https://evil.example', 'null', `http://${host}.evil.example`])
      expect(await send({ origin: other })).toBeUndefined();
    expect(await send({ origin, 'sec-fetch-site': 'cross-site' })).toBeUndefined();
    expect(await send({ origin, 'sec-fetch-site': 'same-site' })).toBeUndefined();
  });

  it('return their own error responses', async () => {
    answer = {
      status: 400,
      headers: { 'content-type': 'application/json' },
      body: '{"error":"invalid_grant"}',
    };
    expect(await call('/site/token')).toMatchObject({ status: 400, text: '{"error":"invalid_grant"}' });
    answer = new Rejection('too-busy', 429).until(7);
    const busy = await call('/site/token');
    expect({ status: busy.status, after: busy.headers.get('retry-after') }).toEqual({
      status: 429,
      after: '7',
    });
    answer = { status: 500, headers: {}, body: 'at /srv/secret.js' };
    const failed = await call('/site/token');
    expect(failed.status).toBe(500);
    expect(failed.text).not.toContain('secret');
  });

  it('accept only forms of limited size by POST, and reject other methods', async () => {
    expect((await post('/site/x', '{}', { 'content-type': 'application/json' })).status).toBe(415);
    expect((await post('/site/x', 'x', { 'content-type': 'multipart/form-data; boundary=b' })).status).toBe(
      415,
    );
    expect((await post('/site/x', 'a'.repeat(70_000))).status).toBe(413);
    for (const method of ['PUT', 'PATCH', 'DELETE'])
      expect((await call('/site/x', { method })).status).toBe(405);
    for (const path of ['/site/%zz', '/site/%00', '/sites', '/site', '/site/'])
      expect([400, 404]).toContain((await call(path)).status);
    expect(received).toEqual([]);
    expect((await post('/v1/counter', 'a=1')).status).toBe(415);
  });

  it('have a rate limit per address', async () => {
    const statuses = await Promise.all(Array.from({ length: 25 }, () => call('/site/x')));
    expect(statuses.filter(({ status }) => status === 429)).toHaveLength(5);
    from = { 'x-forwarded-for': '203.0.113.250' };
    expect((await call('/site/x')).status).toBe(200);
  });

  it('do not override other routes, and other routes do not receive their cookies', async () => {
    expectProblem(await gateway.call('/v1/nothing'), 404, 'not-found');
    await gateway.call('/v1/things', { headers: { cookie: 'site_a=1' } });
    expect(received).toEqual([]);
  });
});
