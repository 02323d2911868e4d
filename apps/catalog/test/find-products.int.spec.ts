import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AddProduct, FindProducts, RemoveProduct } from '@jogakbo/contracts-catalog';
import { encodeCursor } from '@jogakbo/contracts-search';
import { ServiceUnderTest } from '@jogakbo/testing';
import { CatalogModule } from '../src/catalog.module.ts';

describe('catalog as the fallback for search', () => {
  let catalog: ServiceUnderTest;
  beforeAll(async () => {
    catalog = await ServiceUnderTest.start(CatalogModule);
    const products = [
      ['청자 찻잔', 'Celadon teacup', 'pottery', 30_000],
      ['찻잔 받침', 'Saucer for a teacup', 'pottery', 9_000],
      ['삼베 조각보', 'Hemp patchwork', 'textiles', 42_000],
      ['100% 모시', 'Ramie_cloth', 'textiles', 42_000],
    ] as const;
    for (const [name, english, category, amount] of products) {
      const translations = { en: { name: english, description: '' } };
      await catalog.ask(AddProduct, {
        sku: english.replaceAll(' ', '-'),
        name,
        category,
        translations,
        price: { amount, currency: 'KRW' },
      });
    }
  });
  afterAll(() => catalog.stop());

  const find = (query: Parameters<typeof FindProducts>[0], language: 'ko' | 'en' = 'ko') =>
    catalog.ask(FindProducts, query, { language });
  const names = async (query: Parameters<typeof FindProducts>[0]) =>
    (await find(query)).items.map(({ name }) => name);

  it('finds by all words of a name, in both languages, and is marked as degraded', async () => {
    expect(await names({ q: 'TEACUP' })).toEqual(['찻잔 받침', '청자 찻잔']);
    expect(await names({ q: '찻잔' })).toEqual(['찻잔 받침', '청자 찻잔']);
    expect(await names({ q: 'teacup celadon' })).toEqual(['청자 찻잔']);
    expect(await names({ q: 'celadon patchwork' })).toEqual([]);
    const { degraded, facets, items } = await find({ q: 'hemp' }, 'en');
    expect({ degraded, facets }).toEqual({
      degraded: true,
      facets: { category: [], currency: [], price: [] },
    });
    expect(items[0]).toMatchObject({ name: 'Hemp patchwork', price: { amount: 42_000, currency: 'KRW' } });
  });

  it('escapes wildcards and SQL', async () => {
    expect(await names({ q: '%' })).toEqual(['100% 모시']);
    expect(await names({ q: '_' })).toEqual(['100% 모시']);
    expect(await names({ q: "'; DROP TABLE product; --" })).toEqual([]);
  });

  it('filters, sorts and pages', async () => {
    expect(await names({ q: 'a', category: 'textiles' })).toEqual(['100% 모시', '삼베 조각보']);
    expect(await names({ q: 'a', minPrice: 10_000, maxPrice: 40_000 })).toEqual(['청자 찻잔']);
    const ends = { 'price-asc': '찻잔 받침', 'price-desc': '100% 모시', newest: '100% 모시' } as const;
    for (const [sort, first] of Object.entries(ends) as [keyof typeof ends, string][]) {
      const all = await names({ q: 'a', sort });
      expect(all[0]).toBe(first);
      const paged: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const { items, nextCursor } = await find({ q: 'a', sort, limit: 1, ...(cursor && { cursor }) });
        paged.push(...items.map(({ name }) => name));
        cursor = nextCursor;
      }
      expect(paged).toEqual(all);
    }
    await expect(find({ q: 'a', cursor: 'of search itself' })).rejects.toMatchObject({
      code: 'unknown-cursor',
    });
    await expect(find({ q: 'a', minPrice: 2, maxPrice: 1 })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('compares prices within one currency', async () => {
    for (const [sku, amount, currency] of [
      ['C1', 7_000, 'KRW'],
      ['C2', 9_000, 'KRW'],
      ['C3', 100, 'USD'],
    ] as const)
      await catalog.ask(AddProduct, { sku, name: '나막신', category: 'shoes', price: { amount, currency } });
    const prices = async (query: object) =>
      (await find({ q: '나막신', ...query })).items.map(({ price }) => price.amount);
    await expect(prices({ sort: 'price-asc' })).resolves.toEqual([7_000, 9_000]);
    await expect(prices({ sort: 'price-desc' })).resolves.toEqual([9_000, 7_000]);
    await expect(prices({ maxPrice: 8_000 })).resolves.toEqual([7_000]);
    await expect(prices({ sort: 'price-asc', currency: 'USD' })).resolves.toEqual([100]);
    await expect(prices({})).resolves.toEqual([100, 9_000, 7_000]);
    expect((await find({ q: '나막신' })).currency).toBe('KRW');
  });

  it('continues a page of search with a comparable sort, and restarts otherwise', async () => {
    const place = { by: 'search', step: 1, currency: 'KRW', key: 42_000 } as const;
    const cursor = (sort: string) =>
      encodeCursor({ ...place, sort, productId: 'ffffffff-ffff-7fff-bfff-ffffffffffff' });
    const cheaper = await find({
      q: 'a',
      sort: 'price-desc',
      category: 'pottery',
      cursor: cursor('price-desc'),
    });
    expect(cheaper.items.map(({ price }) => price.amount)).toEqual([30_000, 9_000]);
    expect(cheaper.restarted).toBeUndefined();
    const restarted = await find({ q: 'a', limit: 1, cursor: cursor('relevance') });
    expect(restarted).toMatchObject({ restarted: true, items: (await find({ q: 'a', limit: 1 })).items });
  });

  it('finds no removed products', async () => {
    const [hemp] = (await find({ q: 'hemp' })).items;
    await catalog.ask(
      RemoveProduct,
      { productId: hemp!.productId, version: hemp!.version },
      { caller: { memberId: 'm', roles: ['merchant'] } },
    );
    expect(await names({ q: 'hemp' })).toEqual([]);
  });
});
