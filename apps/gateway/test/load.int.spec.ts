import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { GatewaySettings } from '../src/settings.ts';
import { seen } from './demo.ts';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

/** Those who ask the same at the same time would be one. */
const alone = { headers: { 'cache-control': 'no-cache' } };

/** So many are let in: of browsing 6, of what is between 8, of buying all. */
const most = 10;

describe('too much to do', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.open({ MAX_IN_FLIGHT: String(most) }));
  afterAll(() => gateway.close());

  const browse = (takes: number) => gateway.call(`/v1/slow?takes=${takes}`, alone);
  const buy = (takes: number) => gateway.call('/v1/slow', { token: gateway.member, body: { takes } });

  it('refuses browsing first, then reading, and buying last; each at once', async () => {
    const before = seen.slow;
    const browsing = Array.from({ length: 6 }, () => browse(700));
    await eventually(() => seen.slow === before + 6);
    const startedAt = performance.now();
    const refused = await browse(0);
    expect(performance.now() - startedAt).toBeLessThan(50);
    expectProblem(refused, 503, 'overloaded');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await gateway.call('/v1/me', { token: gateway.member })).status).toBe(200);

    const buying = Array.from({ length: 2 }, () => buy(500));
    await eventually(() => seen.slow === before + 8);
    expectProblem(await gateway.call('/v1/me', { token: gateway.member }), 503, 'overloaded');
    const more = Array.from({ length: 2 }, () => buy(400));
    await eventually(() => seen.slow === before + 10);
    expectProblem(await buy(0), 503, 'overloaded');
    expect((await gateway.call('/health/live')).status).toBe(200);

    const answers = await Promise.all([...browsing, ...buying, ...more]);
    expect(answers.map(({ status }) => status)).toEqual(Array(most).fill(200));
    expect((await browse(0)).status).toBe(200);
    const metrics = (await gateway.call('/metrics')).body as string;
    expect(metrics).toMatch(/http_requests_shed_total\{[^}]*priority="browsing"[^}]*\} 1\n/);
    expect(metrics).toMatch(/http_requests_shed_total\{[^}]*priority="buying"[^}]*\} 1\n/);
  });

  it('takes what clients gave up for done', async () => {
    const before = seen.slow;
    const gone = new AbortController();
    const given = Array.from({ length: 6 }, () =>
      fetch(`${gateway.service.url}/v1/slow?takes=900`, { ...alone, signal: gone.signal }).catch(
        () => undefined,
      ),
    );
    await eventually(() => seen.slow === before + 6);
    expectProblem(await browse(0), 503, 'overloaded');
    gone.abort();
    await Promise.all(given);
    await eventually(async () => (await browse(0)).status === 200, 500);
  });

  it('refuses browsing while the event loop lags, and takes it again after', async () => {
    const settings = gateway.service.get(GatewaySettings);
    const usual = settings.maxLoopDelay;
    settings.maxLoopDelay = 40;
    // Not for so long that the service behind it counts as gone.
    const until = performance.now() + 400;
    while (performance.now() < until); // Nothing else runs in this process now, the gateway included.
    const [browsing, buying] = await Promise.all([browse(0), buy(0)]);
    expectProblem(browsing, 503, 'overloaded');
    expect(buying.status).toBe(200);
    await eventually(async () => (await browse(0)).status === 200);
    settings.maxLoopDelay = usual;
  });

  it('answers all the others while hundreds come at once', async () => {
    const startedAt = performance.now();
    const answers = await Promise.all(Array.from({ length: 300 }, () => browse(50)));
    const statuses = new Set(answers.map(({ status }) => status));
    expect(statuses).toEqual(new Set([200, 503]));
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect((await browse(0)).status).toBe(200);
  });
});

describe('too much to do for one service', () => {
  const gateway = new GatewayUnderTest();
  /** Two at a time; of those who wait, browsing fills one place, buying all eight. */
  beforeAll(() => gateway.open({ CALL_POLICIES: '{"demo":{"concurrency":2,"queue":8}}' }));
  afterAll(() => gateway.close());

  it('lets those who buy wait where those who browse are refused', async () => {
    const browse = () => gateway.call('/v1/slow?takes=300', alone);
    const buy = () => gateway.call('/v1/slow', { token: gateway.member, body: { takes: 0 } });
    const before = seen.slow;
    const browsing = [browse(), browse()];
    await eventually(() => seen.slow === before + 2);
    browsing.push(browse());
    await eventually(async () =>
      /calls_open\{[^}]*kind="waiting"[^}]*\} 1\n/.test((await gateway.call('/metrics')).body),
    );
    expectProblem(await browse(), 503, 'overloaded');
    const buying = await Promise.all(Array.from({ length: 7 }, buy));
    expect(buying.map(({ status }) => status)).toEqual(Array(7).fill(200));
    expect((await Promise.all(browsing)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });
});
