import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { holdDown, startAnother } from './hold-down.ts';
import { until } from './jogakbo.ts';
import { Store } from './store.ts';

const store = new Store();
const services = 'gateway,identity,catalog,search,inventory,orders,payments';
/** By the name that the products of a test store have. */
const find = '/v1/search?q=%EC%8B%9C%ED%97%98';

let productId: string;
let buyer: string;
beforeAll(async () => {
  await store.start(['--only', services, '--no-seed']);
  productId = await store.product(10);
  buyer = (await store.member()).token;
  await until(async () => (await store.call('GET', find)).body?.items?.length === 1);
}, 180_000);
afterAll(() => store.remove());

/** The process stops where it is, as one does that hangs, until the test goes on. */
const freeze = (service: string) => process.kill(store.findRecord(service)!.process!.pid, 'SIGSTOP');
const thaw = (service: string) => process.kill(store.findRecord(service)!.process!.pid, 'SIGCONT');
/** As somebody else asks each time, so that no answer is one that was kept. */
const fresh = () => store.call('GET', `${find}&minPrice=${(nth += 1)}`);
let nth = 0;

async function getCircuit(callee: string): Promise<string | undefined> {
  const { text } = await store.call('GET', '/metrics');
  return new RegExp(`calls_circuit{callee="${callee}",kind="state"[^}]*} (\\d)`).exec(text)?.[1];
}

describe('while search hangs', () => {
  afterAll(() => void thaw('search'));

  it('the catalog answers for it, and says so; its circuit opens, which /metrics shows', async () => {
    freeze('search');
    // So many at once that the circuit must open, and few enough for a busy machine.
    const answers = Array.from({ length: 12 }, () =>
      until(async () => {
        const answer = await fresh();
        return answer.status === 200 && answer;
      }),
    );
    for (const { body } of await Promise.all(answers)) {
      expect(body).toMatchObject({ degraded: true, facets: { category: [] } });
      expect(body.items[0]).toMatchObject({ productId, price: { amount: 12_000 } });
    }
    expect(await getCircuit('search')).not.toBe('0');
    expect((await store.call('GET', '/v1/search/suggestions?q=%EC%8B%9C')).body).toEqual({
      items: [],
      degraded: true,
    });
    expect((await store.call('GET', '/v1/search?q=x&minPrice=9&maxPrice=1')).status).toBe(400);
  });

  it('the rest of the store works, and search is itself again when it goes on', async () => {
    const { status, body } = await store.buy(buyer, store.order(productId));
    expect({ status, is: body.status }).toEqual({ status: 201, is: 'confirmed' });
    thaw('search');
    await until(async () => {
      const answer = await fresh();
      return answer.status === 200 && answer.body.degraded === undefined;
    }, 30_000);
    await until(async () => (await getCircuit('search')) === '0');
  }, 90_000);
});

describe('while the catalog hangs', () => {
  afterAll(() => void thaw('catalog'));
  const path = () => `/v1/products/${productId}`;

  it('a product that was read is shown with its last price, and said to be old', async () => {
    expect((await store.call('GET', path())).headers.has('cache-status')).toBe(false);
    freeze('catalog');
    const old = await until(async () => {
      const answer = await store.call('GET', path());
      expect(answer.status).toBe(200);
      return answer.headers.has('cache-status') && answer;
    }, 40_000);
    expect(old.headers.get('cache-status')).toMatch(/^jogakbo; hit; ttl=-\d+; detail=stale-if-error$/);
    expect(Number(old.headers.get('age'))).toBeGreaterThanOrEqual(2);
    expect(old.body).toMatchObject({ productId, price: { amount: 12_000 } });
    const mine = await store.call('GET', path(), { token: buyer });
    expect({ status: mine.status, stale: mine.headers.has('cache-status') }).toEqual({
      status: 200,
      stale: true,
    });
  }, 60_000);

  it('one that nobody knows is unavailable, and nothing is sold at an old price', async () => {
    const unavailable = async () => {
      const { status } = await store.call('GET', `/v1/products/${randomUUID()}`);
      expect([503, 504]).toContain(status);
      return status === 503;
    };
    await until(unavailable, 40_000);
    await until(async () => {
      const { status, body } = await store.buy(buyer, store.order(productId));
      expect([503, 504]).toContain(status);
      return status === 503 && body.code === 'unavailable';
    }, 60_000);
    expect((await store.call('GET', '/v1/orders', { token: buyer })).body.items).toHaveLength(1);
  }, 120_000);

  it('and all is as before when it goes on', async () => {
    thaw('catalog');
    await until(async () => {
      const answer = await store.call('GET', path());
      return answer.status === 200 && !answer.headers.has('cache-status');
    }, 30_000);
    await until(async () => (await store.buy(buyer, store.order(productId))).status === 201, 60_000);
  }, 120_000);
});

describe('while the catalog is away', () => {
  it('a gateway that has yet to hear of it says come again, not that there is no such route', async () => {
    const release = await holdDown(store, 'catalog', 'SIGTERM');
    const gateway = await startAnother(store, 'gateway');
    try {
      const readStatus = async (path: string) => (await store.call('GET', path, { url: gateway.url })).status;
      // Until then it takes any route for one that may still come.
      await until(async () => (await readStatus('/v1/nothing')) === 404, 30_000);
      expect(await readStatus(`/v1/products/${productId}`)).toBe(503);
      const { status } = await store.call('PATCH', '/v1/products', { url: gateway.url });
      expect(status).toBe(405);
    } finally {
      await gateway.end();
      await release();
    }
  }, 120_000);
});
