import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@jogakbo/testing';
import { getSlowdown } from '@jogakbo/testing/slowdown';
import { GatewaySettings } from '../src/settings.ts';
import { demoState } from './demo.ts';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

/** Disables request coalescing: identical concurrent reads would otherwise become one. */
const noCache = { headers: { 'cache-control': 'no-cache' } };

/** Requests in flight: browsing is admitted up to 6, other reads up to 8, buying up to all 10. */
const maxInFlight = 10;

describe('load shedding', () => {
  const gateway = new GatewayUnderTest();
  beforeAll(() => gateway.start({ MAX_IN_FLIGHT: String(maxInFlight) }));
  afterAll(() => gateway.stop());

  const browse = (takes: number) => gateway.call(`/v1/slow?takes=${takes}`, noCache);
  const buy = (takes: number) => gateway.call('/v1/slow', { token: gateway.member, body: { takes } });

  it('rejects browsing first, then reading, then buying, without delay', async () => {
    const before = demoState.slowCalls;
    const browsing = Array.from({ length: 6 }, () => browse(700));
    await eventually(() => demoState.slowCalls === before + 6);
    const startedAt = performance.now();
    const rejected = await browse(0);
    expect(performance.now() - startedAt).toBeLessThan(50);
    expectProblem(rejected, 503, 'overloaded');
    expect(rejected.headers.get('retry-after')).toBe('1');
    expect((await gateway.call('/v1/me', { token: gateway.member })).status).toBe(200);

    const buying = Array.from({ length: 2 }, () => buy(500));
    await eventually(() => demoState.slowCalls === before + 8);
    expectProblem(await gateway.call('/v1/me', { token: gateway.member }), 503, 'overloaded');
    const more = Array.from({ length: 2 }, () => buy(400));
    await eventually(() => demoState.slowCalls === before + 10);
    expectProblem(await buy(0), 503, 'overloaded');
    expect((await gateway.call('/health/live')).status).toBe(200);

    const answers = await Promise.all([...browsing, ...buying, ...more]);
    expect(answers.map(({ status }) => status)).toEqual(Array(maxInFlight).fill(200));
    expect((await browse(0)).status).toBe(200);
    const metrics = (await gateway.call('/metrics')).body as string;
    expect(metrics).toMatch(/http_requests_shed_total\{[^}]*priority="low"[^}]*\} 1\n/);
    expect(metrics).toMatch(/http_requests_shed_total\{[^}]*priority="high"[^}]*\} 1\n/);
  });

  it('releases the slots of aborted requests', async () => {
    const before = demoState.slowCalls;
    const clients = new AbortController();
    const aborted = Array.from({ length: 6 }, () =>
      fetch(`${gateway.service.url}/v1/slow?takes=900`, { ...noCache, signal: clients.signal }).catch(
        () => undefined,
      ),
    );
    await eventually(() => demoState.slowCalls === before + 6);
    expectProblem(await browse(0), 503, 'overloaded');
    clients.abort();
    await Promise.all(aborted);
    await eventually(async () => (await browse(0)).status === 200, 500);
  });

  it('rejects browsing while the event loop lags, and accepts it afterwards', async () => {
    const settings = gateway.service.get(GatewaySettings);
    const usual = settings.maxLoopDelay;
    // Buying is rejected at four times as much, which a busy machine may add to one of the delays.
    settings.maxLoopDelay = 75;
    await eventually(async () => {
      // Short enough that the service does not miss its heartbeats.
      const until = performance.now() + 500;
      while (performance.now() < until); // Blocks this process, the gateway included.
      const [browsing, buying] = await Promise.all([browse(0), buy(0)]);
      expectProblem(browsing, 503, 'overloaded');
      return buying.status === 200;
    });
    await eventually(async () => (await browse(0)).status === 200);
    settings.maxLoopDelay = usual;
  });

  it('stays responsive under hundreds of concurrent requests', async () => {
    const startedAt = performance.now();
    const answers = await Promise.all(Array.from({ length: 300 }, () => browse(50)));
    const statuses = new Set(answers.map(({ status }) => status));
    expect(statuses).toEqual(new Set([200, 503]));
    expect(performance.now() - startedAt).toBeLessThan(3_000 * getSlowdown());
    expect((await browse(0)).status).toBe(200);
  });
});

describe('load shedding for one service', () => {
  const gateway = new GatewayUnderTest();
  /** Two concurrent calls. Browsing may use one place in the queue, buying all eight. */
  beforeAll(() => gateway.start({ CALL_POLICIES: '{"demo":{"concurrency":2,"queue":8}}' }));
  afterAll(() => gateway.stop());

  it('queues buying while browsing is rejected', async () => {
    const browse = () => gateway.call('/v1/slow?takes=300', noCache);
    const buy = () => gateway.call('/v1/slow', { token: gateway.member, body: { takes: 0 } });
    const before = demoState.slowCalls;
    const browsing = [browse(), browse()];
    await eventually(() => demoState.slowCalls === before + 2);
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
