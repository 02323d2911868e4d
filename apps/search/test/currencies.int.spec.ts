import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Input } from '@jogakbo/contract';
import { SearchProducts } from '@jogakbo/contracts-search';
import { SearchFixture } from './shelf.ts';

describe('search with prices in several currencies', () => {
  const q = '나막신';
  let index: SearchFixture;
  const find = (q: string, query: Partial<Input<typeof SearchProducts>> = {}) =>
    index.search.ask(SearchProducts, { q, ...query }, { language: 'ko' });

  beforeAll(async () => {
    index = await SearchFixture.start();
    await index.add('나막신', 'Clogs', { amount: 90_000 });
    await index.add('작은 나막신', 'Small Clogs', { amount: 50_000 });
    await index.add('은 나막신', 'Silver Clogs', { amount: 12_000, currency: 'USD' });
    // The lowest amount in minor units, but the highest value.
    await index.add('금 나막신', 'Golden Clogs', { amount: 9_000, currency: 'KWD' });
  });
  afterAll(() => index.stop());

  it('compares prices in the most frequent currency, and names it', async () => {
    const ascending = await find(q, { sort: 'price-asc' });
    expect(ascending.items.map(({ price }) => price)).toEqual([
      { amount: 50_000, currency: 'KRW' },
      { amount: 90_000, currency: 'KRW' },
    ]);
    expect(ascending.currency).toBe('KRW');
    expect((await find(q, { sort: 'price-desc' })).items[0]!.price.amount).toBe(90_000);
    expect((await find(q, { minPrice: 10_000, maxPrice: 60_000 })).items).toMatchObject([
      { price: { amount: 50_000 } },
    ]);
  });

  it('returns all currencies if prices are not compared, and counts ranges in one currency', async () => {
    const { items, currency, facets } = await find(q);
    expect(items).toHaveLength(4);
    expect(currency).toBe('KRW');
    expect(facets.currency).toEqual([
      { value: 'KRW', count: 2 },
      ...[
        { value: 'KWD', count: 1 },
        { value: 'USD', count: 1 },
      ],
    ]);
    expect(facets.price).toEqual([{ minPrice: 50_000, maxPrice: 99_999, count: 2 }]);
  });

  it('compares prices in the requested currency', async () => {
    const { items, currency, facets } = await find(q, { currency: 'USD', maxPrice: 20_000 });
    expect(items).toMatchObject([{ price: { amount: 12_000, currency: 'USD' } }]);
    expect(currency).toBe('USD');
    expect(facets.price).toEqual([{ minPrice: 10_000, maxPrice: 29_999, count: 1 }]);
    const { items: none } = await find(q, { currency: 'EUR' });
    expect(none).toEqual([]);
  });

  it('keeps its currency across pages', async () => {
    const first = await find(q, { sort: 'price-asc', limit: 1 });
    await expect(
      find(q, { sort: 'price-asc', currency: 'USD', cursor: first.nextCursor! }),
    ).rejects.toMatchObject({
      code: 'unknown-cursor',
    });
    const second = await find(q, { sort: 'price-asc', limit: 1, cursor: first.nextCursor! });
    expect(second).toMatchObject({
      items: [{ price: { amount: 90_000 } }],
      currency: 'KRW',
      nextCursor: null,
    });
  });
});
