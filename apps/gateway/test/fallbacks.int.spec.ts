import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { service, type Body } from '@jogakbo/contract';
import { Handles } from '@jogakbo/messaging';
import { Service, type RunningService } from '@jogakbo/service';
import { eventually } from '@jogakbo/testing';
import { Controller } from '@nestjs/common';
import { z } from 'zod';
import { GatewayUnderTest, expectProblem } from './gateway-under-test.ts';

const input = z.strictObject({ q: z.string(), how: z.enum(['refuse', 'hang']).optional() });
const output = z.object({ from: z.string(), degraded: z.boolean().optional() });
const createOptions = (route: `GET /${string}`, more: object) => ({
  input,
  output,
  access: 'public' as const,
  http: { route, ...more },
});

const finder = service('finder', 'Is unavailable at times.');
const Find = finder.query('find', {
  ...createOptions('GET /v1/find', { fallback: { query: 'shelf.look' } }),
  rejections: { shy: 422 },
});
const Suggest = finder.query(
  'suggest',
  createOptions('GET /v1/suggest', { fallback: { answer: { from: 'default', degraded: true } } }),
);
const Price = finder.query(
  'price',
  createOptions('GET /v1/price', { cache: { maxAge: 1, staleIfError: 60 } }),
);
/** Names a fallback that does not declare `standsInFor` for this query. */
const Undeclared = finder.query(
  'steal',
  createOptions('GET /v1/steal', { fallback: { query: 'shelf.secret' } }),
);
const shelf = service('shelf');
const Look = shelf.query('look', { input, output, standsInFor: 'finder.find' });
const Secret = shelf.query('secret', { input, output });

let priceCalls = 0;

@Controller()
class FinderHandler {
  @Handles(Find)
  async find({ how }: Body<typeof Find>) {
    if (how === 'refuse') throw Find.reject('shy');
    if (how === 'hang') await sleep(3_000);
    return { from: 'finder' };
  }

  @Handles(Suggest)
  async suggest(_: Body<typeof Suggest>) {
    return { from: 'finder' };
  }

  @Handles(Price)
  async price({ q }: Body<typeof Price>) {
    return { from: `${q} ${(priceCalls += 1)}` };
  }

  @Handles(Undeclared)
  async undeclared(_: Body<typeof Undeclared>) {
    return { from: 'finder' };
  }
}

@Controller()
class ShelfHandler {
  @Handles(Look)
  async look({ q }: Body<typeof Look>) {
    return { from: `shelf: ${q}`, degraded: true };
  }

  @Handles(Secret)
  async secret(_: Body<typeof Secret>) {
    return { from: 'the inside' };
  }
}

@Service({ contract: finder, handlers: [FinderHandler] })
class FinderModule {}
@Service({ contract: shelf, handlers: [ShelfHandler] })
class ShelfModule {}

describe('while a service is unavailable', () => {
  const gateway = new GatewayUnderTest();
  let [running, other]: (RunningService | undefined)[] = [];
  const get = async (path: string, token?: string, headers: Record<string, string> = {}) =>
    gateway.call(`/v1/${path}`, { ...(token && { token }), headers });
  const waitForFinder = () => eventually(async () => (await get('find?q=x')).body.from === 'finder');

  beforeAll(async () => {
    await gateway.start();
    other = await gateway.startService(ShelfModule);
    running = await gateway.startService(FinderModule);
    await waitForFinder();
    await get('price?q=known');
    await get('price?q=mine', gateway.member);
    await running.stop();
  });
  afterAll(async () => {
    await running?.stop();
    await other?.stop();
    await gateway.stop();
  });

  it('the gateway returns its fallback: another query, or the fixed answer of the contract', async () => {
    expect(await get('find?q=cup')).toMatchObject({
      status: 200,
      body: { from: 'shelf: cup', degraded: true },
    });
    expect((await get('suggest?q=c')).body).toEqual({ from: 'default', degraded: true });
    expect((await get('find?q=cup', gateway.member)).status).toBe(200);
    expectProblem(await get('find?wrong=1'), 400, 'invalid');
  });

  it('a query that does not declare standsInFor is not used as a fallback', async () => {
    expectProblem(await get('steal?q=x'), 503, 'unavailable');
  });

  it('cached responses are returned with their age, and others are unavailable', async () => {
    await eventually(async () => (await get('price?q=known')).headers.has('cache-status'));
    const stale = await get('price?q=known');
    expect(stale).toMatchObject({ status: 200, body: { from: expect.stringContaining('known') } });
    expect(stale.headers.get('cache-status')).toMatch(/^jogakbo; hit; ttl=-\d+; detail=stale-if-error$/);
    expect(Number(stale.headers.get('age'))).toBeGreaterThanOrEqual(1);
    const mine = await get('price?q=mine', gateway.moderator);
    expect(mine).toMatchObject({ status: 200, body: { from: expect.stringContaining('mine') } });
    expect(mine.headers.get('cache-status')).toContain('stale');
    expect(mine.headers.get('cache-control')).toBe('private, no-cache');
    expectProblem(await get('price?q=unknown'), 503, 'unavailable');
    expectProblem(await get('price?q=known', undefined, { 'cache-control': 'no-cache' }), 503, 'unavailable');
  });

  it('degraded responses are counted', async () => {
    const { body } = await gateway.call('/metrics');
    for (const [route, how] of [
      ['/v1/find', 'fallback'],
      ['/v1/suggest', 'fallback'],
      ['/v1/price', 'stale'],
    ])
      expect(body).toMatch(
        new RegExp(`http_answers_degraded_total{route="${route}",how="${how}"[^}]*} [1-9]`),
      );
  });

  it('fresh responses return once the service is back', async () => {
    running = await gateway.startService(FinderModule);
    await waitForFinder();
    const fresh = await get('price?q=known');
    expect(fresh.headers.has('cache-status')).toBe(false);
    expect(fresh.headers.get('age')).toBe('0');
    expectProblem(await get('find?q=x&how=refuse'), 422, 'shy');
    expect((await get('find?q=slow&how=hang')).body).toEqual({ from: 'shelf: slow', degraded: true });
  });
});
