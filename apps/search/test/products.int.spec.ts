import { randomUUIDv7 } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ProductAdded, ProductChanged, ProductRemoved } from '@jogakbo/contracts-catalog';
import { StockChanged } from '@jogakbo/contracts-inventory';
import { SearchProducts, SuggestProducts } from '@jogakbo/contracts-search';
import { eventually } from '@jogakbo/testing';
import { Shelf } from './shelf.ts';

describe('keeping products', () => {
  let shelf: Shelf;
  const names = async (q: string) =>
    (await shelf.search.ask(SearchProducts, { q })).items.map(({ name }) => name);
  const fromScratch = () =>
    shelf.search.query(
      ['product', 'product_terms', 'product_names', 'stock', 'vocabulary', 'inbox']
        .map((table) => `DELETE FROM ${table};`)
        .join(''),
    );

  beforeAll(async () => {
    shelf = await Shelf.open();
  });
  afterEach(fromScratch);
  afterAll(() => shelf.close());

  it('finds a product by what it is called now, and no longer by what it was', async () => {
    const product = await shelf.put('모시 조각보', 'Ramie Cloth');
    await shelf.hears(
      ProductChanged({
        ...{ ...product, name: '삼베 조각보', version: 2, category: 'summer' },
        price: { amount: 5, currency: 'KRW' },
        translations: { en: { name: 'Hemp Cloth', description: '' } },
      }),
    );
    await expect(names('모시')).resolves.toEqual([]);
    await expect(names('ramie')).resolves.toEqual([]);
    const { items } = await shelf.search.ask(SearchProducts, { q: 'hemp', category: 'summer', maxPrice: 5 });
    expect(items).toMatchObject([{ name: '삼베 조각보', version: 2, category: 'summer' }]);
  });

  it('never goes back to an older version', async () => {
    const product = await shelf.put('하나', 'One');
    await shelf.hears(ProductChanged({ ...product, name: '세엣', version: 3 }));
    await shelf.hears(ProductChanged({ ...product, name: '두울', version: 2 }));
    await shelf.hears(ProductAdded(product));
    await expect(names('세엣')).resolves.toEqual(['세엣']);
    await expect(names('두울')).resolves.toEqual([]);
    await expect(names('하나')).resolves.toEqual([]);
  });

  it('never brings a removed product back', async () => {
    const product = await shelf.put('나비', 'Butterfly');
    await shelf.hears(ProductRemoved({ productId: product.productId }));
    await expect(names('나비')).resolves.toEqual([]);
    await expect(shelf.search.ask(SuggestProducts, { q: '나' })).resolves.toEqual({ items: [] });
    await shelf.hears(ProductChanged({ ...product, version: 9 }));
    await expect(names('나비')).resolves.toEqual([]);

    const early = { ...product, productId: randomUUIDv7(), version: 1 };
    await shelf.hears(ProductRemoved({ productId: early.productId }));
    await shelf.hears(ProductAdded(early));
    await expect(names('나비')).resolves.toEqual([]);
  });

  it('knows of stock before and after it knows of the product', async () => {
    const productId = randomUUIDv7();
    await shelf.stock(productId, 3);
    const product = { ...(await shelf.put('학', 'Crane')), productId };
    await shelf.hears(ProductAdded(product));
    const { items } = await shelf.search.ask(SearchProducts, { q: 'crane', sort: 'newest' });
    expect(items.find((item) => item.productId === productId)).toMatchObject({ available: 3 });
  });

  it('never goes back to an older number of pieces', async () => {
    const { productId } = await shelf.put('학', 'Crane');
    await shelf.stock(productId, 5, 1);
    await shelf.stock(productId, 0, 3);
    await shelf.stock(productId, 2, 2); // was tried again, and came late
    const { items } = await shelf.search.ask(SearchProducts, { q: 'crane' });
    expect(items).toMatchObject([{ available: 0 }]);
  });

  it('makes the same rows of the same events, however often each comes', async () => {
    const [one, other] = [await shelf.put('백자 찻잔', 'Teacup'), await shelf.put('놋 접시', 'Plate')];
    const events = [
      ProductAdded(one),
      StockChanged({ productId: one.productId, available: 4, version: 1 }),
      ProductChanged({ ...one, name: '청자 찻잔', version: 2 }),
      ProductAdded(other),
      ProductRemoved({ productId: other.productId }),
      StockChanged({ productId: one.productId, available: 2, version: 2 }),
    ];
    await fromScratch();
    for (const event of events) await shelf.hears(event);
    const once = await shelf.rows();
    expect(JSON.stringify(once)).toContain('청자');
    await fromScratch();
    for (const event of events) for (let time = 0; time < 2; time++) await shelf.hears(event);
    await expect(shelf.rows()).resolves.toEqual(once);
  });

  it('takes the longest texts that the catalog lets pass', async () => {
    const longest = { ko: '가'.repeat(2000), en: `${'x'.repeat(1990)} longtext` };
    await shelf.put('뷁'.repeat(200), 'w'.repeat(200), longest);
    await expect(names('longtext')).resolves.toHaveLength(1);
    await expect(names('뷁뷁뷁')).resolves.toHaveLength(1);
    await expect(shelf.search.ask(SuggestProducts, { q: '뷁'.repeat(100) })).resolves.toMatchObject({
      items: [{ text: '뷁'.repeat(200) }],
    });
  });

  it('takes many products with the same new words at once', async () => {
    const product = await shelf.put('하나', 'One');
    const many = Array.from({ length: 40 }, (_, at) => ({
      ...{ ...product, productId: randomUUIDv7() },
      // Each names the same words in another order.
      name: ['다듬이', '방망이', '항아리', '가마솥']
        .map((_, i, words) => words[(i + at) % words.length])
        .join(' '),
    }));
    await Promise.all(many.map((one) => shelf.search.announce(ProductAdded(one))));
    const { facets } = await eventually(async () => {
      const found = await shelf.search.ask(SearchProducts, { q: '항아리' });
      return found.facets.category[0]?.count === many.length && found;
    });
    expect(facets.category).toEqual([{ value: 'textiles', count: 40 }]);
    await expect(shelf.faults()).resolves.toEqual([]);
  });
});
