import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { RunningService } from '@jogakbo/service';
import { eventually, startPrivateRedis, type PrivateRedis } from '@jogakbo/testing';
import { GatewaySettings } from '../src/settings.ts';
import { type GatewayResponse, GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

const from = (address: string) => ({ 'x-forwarded-for': address });

/** Makes sequential calls and returns the last response. */
async function callTimes(times: number, call: () => Promise<GatewayResponse>): Promise<GatewayResponse> {
  let answer = await call();
  for (let nth = 1; nth < times; nth += 1) answer = await call();
  return answer;
}

describe('rate limits', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(async () => {
    await gateway.start({ TRUST_PROXY: 'loopback' });
    // Set after the start, which polls the gateway and would use up the limits.
    const limits = { rateLimitAddress: '20/hour', rateLimitMember: '10/hour' } as const;
    Object.assign(gateway.service.get(GatewaySettings), limits);
  });
  afterAll(() => gateway.stop());

  it('report the remaining quota, and reject an address that has used it up', async () => {
    const first = await gateway.call('/v1/things', { headers: from('203.0.113.1') });
    expect(first.headers.get('ratelimit-policy')).toBe('"address";q=20;w=3600');
    expect(first.headers.get('ratelimit')).toBe('"address";r=19;t=3600');
    expect(
      (await callTimes(19, () => gateway.call('/v1/things', { headers: from('203.0.113.1') }))).status,
    ).toBe(200);
    const rejected = await gateway.call('/v1/things', { headers: from('203.0.113.1') });
    expectProblem(rejected, 429, 'too-many-requests');
    expect(Number(rejected.headers.get('retry-after'))).toBeGreaterThan(3_500);
    expect(rejected.headers.get('ratelimit')).toMatch(/^"address";r=0;t=35\d\d$|^"address";r=0;t=3600$/);
    expect((await gateway.call('/v1/things', { headers: from('203.0.113.2') })).status).toBe(200);
  });

  it('count the addresses of one IPv6 /64 together, including requests without a route', async () => {
    await callTimes(20, () => gateway.call('/v1/nothing', { headers: from('2001:db8::1') }));
    expect((await gateway.call('/v1/things', { headers: from('2001:db8::2') })).status).toBe(429);
    expect((await gateway.call('/v1/things', { headers: from('2001:db8:1::1') })).status).toBe(200);
  });

  it('count a member across all addresses', async () => {
    const token = await gateway.key.sign({ sub: 'm-busy' });
    let nth = 0;
    const me = () => gateway.call('/v1/me', { token, headers: from(`198.51.100.${(nth += 1)}`) });
    const tenth = await callTimes(10, me);
    expect(tenth.status).toBe(200);
    expect(tenth.headers.get('ratelimit')).toMatch(/^"address";r=19;t=\d+, "member";r=0;t=\d+$/);
    expectProblem(await me(), 429, 'too-many-requests');
  });

  it('include the route limit of the contract, per caller', async () => {
    const count = (address: string) => gateway.call('/v1/counter', { body: {}, headers: from(address) });
    const fifth = await callTimes(5, () => count('203.0.113.7'));
    expect(fifth.status).toBe(200);
    expect(fifth.headers.get('ratelimit-policy')).toBe('"address";q=20;w=3600, "route";q=5;w=3600');
    expectProblem(await count('203.0.113.7'), 429, 'too-many-requests');
    expect((await count('203.0.113.8')).status).toBe(200);
    expect((await gateway.call('/v1/counter', { headers: from('203.0.113.7') })).status).toBe(200);
  });

  it('count per network too, for every member and for invalid tokens', async () => {
    const count = (token: string) =>
      gateway.call('/v1/counter', { body: {}, token, headers: from('203.0.113.9') });
    const fresh = (nth: number) => gateway.key.sign({ sub: `m-fresh-${nth}`, sid: `s-${nth}` });
    for (let nth = 0; nth < 3; nth += 1) expect((await count(await fresh(nth))).status).toBe(200);
    for (let nth = 0; nth < 2; nth += 1) expectProblem(await count(`a.b.c${nth}`), 401, 'unauthenticated');
    expectProblem(await count(await fresh(5)), 429, 'too-many-requests');
    expectProblem(await count('a.b.d'), 429, 'too-many-requests');
    // Each request has its own address in one IPv6 network, and its own token.
    const inNetwork = async (nth: number) =>
      gateway.call('/v1/counter', {
        body: {},
        token: await fresh(10 + nth),
        headers: from(`2001:db8:9::${nth + 1}`),
      });
    for (let nth = 0; nth < 5; nth += 1) expect((await inNetwork(nth)).status).toBe(200);
    expectProblem(await inNetwork(5), 429, 'too-many-requests');
  });

  it('apply the member limit of a route across all addresses', async () => {
    const token = await gateway.key.sign({ sub: 'm-travelling' });
    const count = (nth: number) =>
      gateway.call('/v1/counter', { body: {}, token, headers: from(`192.0.2.${nth}`) });
    for (let nth = 1; nth <= 3; nth += 1) expect((await count(nth)).status).toBe(200);
    const fourth = await count(4);
    expectProblem(fourth, 429, 'too-many-requests');
    expect(fourth.headers.get('ratelimit-policy')).toMatch(/"route";q=5;w=3600, .*"member-route";q=3;w=3600/);
  });

  it('send the longest Retry-After if several limits are exceeded', async () => {
    const settings = gateway.service.get(GatewaySettings);
    const usual = settings.rateLimitMember;
    settings.rateLimitMember = '1/second';
    const token = await gateway.key.sign({ sub: 'm-hasty' });
    const calls = Array.from({ length: 6 }, (_, nth) =>
      gateway.call('/v1/counter', { body: {}, token, headers: from(`203.0.113.${20 + nth}`) }),
    );
    const waits = (await Promise.all(calls)).map(({ headers }) => Number(headers.get('retry-after')));
    expect(waits.filter((wait) => wait === 1)).toHaveLength(2);
    expect(waits.filter((wait) => wait > 3_500)).toHaveLength(3);
    settings.rateLimitMember = usual;
  });

  it('do not apply to health checks', async () => {
    expect((await callTimes(25, () => gateway.call('/health/live'))).status).toBe(200);
  });
});

describe('rate limits with Redis', () => {
  const gateway = new GatewayUnderTest();
  let redis: PrivateRedis;
  let other: RunningService;
  beforeAll(async () => {
    redis = await startPrivateRedis();
    await gateway.start({ TRUST_PROXY: 'loopback', REDIS_URL: redis.url });
    other = await gateway.service.startAnother();
    await eventually(async () => (await fetch(`${other.url}/health/ready`)).status === 200);
    await eventually(async () => (await there('203.0.113.200')).status === 200);
    const limits = { rateLimitAddress: '10/hour' } as const;
    Object.assign(gateway.service.get(GatewaySettings), limits);
    Object.assign(other.app.get(GatewaySettings), limits);
  }, 120_000);
  afterAll(async () => {
    await other?.stop();
    await gateway.stop();
    await redis?.drop();
  });

  const here = (address: string) => gateway.call('/v1/things', { headers: from(address) });
  const there = (address: string) => fetch(`${other.url}/v1/things`, { headers: from(address) });

  it('count across all replicas', async () => {
    for (let nth = 0; nth < 5; nth += 1) {
      expect((await here('203.0.113.1')).status).toBe(200);
      expect((await there('203.0.113.1')).status).toBe(200);
    }
    expectProblem(await here('203.0.113.1'), 429, 'too-many-requests');
    expect((await there('203.0.113.1')).status).toBe(429);
  });

  it('count per replica while Redis is unavailable, and across replicas afterwards', async () => {
    await redis.pause();
    const startedAt = performance.now();
    expect((await here('203.0.113.1')).status).toBe(200);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect((await callTimes(9, () => here('203.0.113.1'))).status).toBe(200);
    expect((await here('203.0.113.1')).status).toBe(429);
    expect((await there('203.0.113.1')).status).toBe(200);
    await redis.resume();
    let nth = 0;
    await eventually(async () => {
      const address = `203.0.113.${100 + (nth += 1)}`;
      const answers = [await there(address), await here(address)];
      return answers.map(({ headers }) => /r=\d+/.exec(headers.get('ratelimit')!)![0]).join() === 'r=9,r=8';
    }, 20_000);
  }, 40_000);
});
