import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { stopService, startInstance } from '../src/hold-down.ts';
import { until } from '../src/jogakbo.ts';
import { Store } from '../src/store.ts';

const store = new Store();
const services = 'gateway,identity,catalog,search,inventory,orders,payments';
/** Finds products by the name that `createProduct` gives them. */
const searchPath = '/v1/search?q=%EC%8B%9C%ED%97%98';

let productId: string;
let buyer: string;
beforeAll(async () => {
  await store.start(['--only', services, '--no-seed']);
  productId = await store.createProduct(10);
  buyer = (await store.createMember()).token;
  await until(async () => (await store.call('GET', searchPath)).body?.items?.length === 1);
}, 180_000);
afterAll(() => store.remove());

/** Suspends the process, so that it hangs until `thaw`. */
const freeze = (service: string) => process.kill(store.findRecord(service)!.process!.pid, 'SIGSTOP');
const thaw = (service: string) => process.kill(store.findRecord(service)!.process!.pid, 'SIGCONT');
/** A different query each time, so that no response comes from a cache. */
const searchUncached = () => store.call('GET', `${searchPath}&minPrice=${(nth += 1)}`);
let nth = 0;

async function readCircuit(callee: string): Promise<string | undefined> {
  const { text } = await store.call('GET', '/metrics');
  return new RegExp(`calls_circuit{callee="${callee}",kind="state"[^}]*} (\\d)`).exec(text)?.[1];
}

describe('while search hangs', () => {
  afterAll(() => void thaw('search'));

  it('the catalog answers instead, marked as degraded; the circuit opens, visible on /metrics', async () => {
    freeze('search');
    // Enough requests to open the circuit, and few enough for a busy machine.
    const answers = Array.from({ length: 12 }, () =>
      until(async () => {
        const answer = await searchUncached();
        return answer.status === 200 && answer;
      }),
    );
    for (const { body } of await Promise.all(answers)) {
      expect(body).toMatchObject({ degraded: true, facets: { category: [] } });
      expect(body.items[0]).toMatchObject({ productId, price: { amount: 12_000 } });
    }
    expect(await readCircuit('search')).not.toBe('0');
    expect((await store.call('GET', '/v1/search/suggestions?q=%EC%8B%9C')).body).toEqual({
      items: [],
      degraded: true,
    });
    expect((await store.call('GET', '/v1/search?q=x&minPrice=9&maxPrice=1')).status).toBe(400);
  });

  it('the rest of the store works, and search recovers when it resumes', async () => {
    const { status, body } = await store.buy(buyer, store.buildOrder(productId));
    expect({ status, order: body.status }).toEqual({ status: 201, order: 'confirmed' });
    thaw('search');
    await until(async () => {
      const answer = await searchUncached();
      return answer.status === 200 && answer.body.degraded === undefined;
    }, 30_000);
    await until(async () => (await readCircuit('search')) === '0');
  }, 90_000);
});

describe('while the catalog hangs', () => {
  afterAll(() => void thaw('catalog'));
  const buildPath = () => `/v1/products/${productId}`;

  it('a product that was read before is served from the cache, marked as stale', async () => {
    expect((await store.call('GET', buildPath())).headers.has('cache-status')).toBe(false);
    freeze('catalog');
    const stale = await until(async () => {
      const answer = await store.call('GET', buildPath());
      expect(answer.status).toBe(200);
      return answer.headers.has('cache-status') && answer;
    }, 40_000);
    expect(stale.headers.get('cache-status')).toMatch(/^jogakbo; hit; ttl=-\d+; detail=stale-if-error$/);
    expect(Number(stale.headers.get('age'))).toBeGreaterThanOrEqual(2);
    expect(stale.body).toMatchObject({ productId, price: { amount: 12_000 } });
    const mine = await store.call('GET', buildPath(), { token: buyer });
    expect({ status: mine.status, stale: mine.headers.has('cache-status') }).toEqual({
      status: 200,
      stale: true,
    });
  }, 60_000);

  it('an uncached product is unavailable, and nothing is sold at a stale price', async () => {
    const isUnavailable = async () => {
      const { status } = await store.call('GET', `/v1/products/${randomUUID()}`);
      expect([503, 504]).toContain(status);
      return status === 503;
    };
    await until(isUnavailable, 40_000);
    await until(async () => {
      const { status, body } = await store.buy(buyer, store.buildOrder(productId));
      expect([503, 504]).toContain(status);
      return status === 503 && body.code === 'unavailable';
    }, 60_000);
    expect((await store.call('GET', '/v1/orders', { token: buyer })).body.items).toHaveLength(1);
  }, 120_000);

  it('recovers when the catalog resumes', async () => {
    thaw('catalog');
    await until(async () => {
      const answer = await store.call('GET', buildPath());
      return answer.status === 200 && !answer.headers.has('cache-status');
    }, 30_000);
    await until(async () => (await store.buy(buyer, store.buildOrder(productId))).status === 201, 60_000);
  }, 120_000);
});

describe('while the catalog is down', () => {
  it('a gateway that has not discovered it yet answers 503 for its routes, not 404', async () => {
    const restore = await stopService(store, 'catalog', 'SIGTERM');
    const gateway = await startInstance(store, 'gateway');
    try {
      const readStatus = async (path: string) => (await store.call('GET', path, { url: gateway.url })).status;
      // Until the discovery ends, every unknown route is 503.
      await until(async () => (await readStatus('/v1/nothing')) === 404, 30_000);
      expect(await readStatus(`/v1/products/${productId}`)).toBe(503);
      const { status } = await store.call('PATCH', '/v1/products', { url: gateway.url });
      expect(status).toBe(405);
    } finally {
      await gateway.end();
      await restore();
    }
  }, 120_000);
});
