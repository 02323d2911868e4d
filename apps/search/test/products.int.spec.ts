import { randomUUIDv7 } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ProductAdded, ProductChanged, ProductRemoved } from '@jogakbo/contracts-catalog';
import { StockChanged } from '@jogakbo/contracts-inventory';
import { SearchProducts, SuggestProducts } from '@jogakbo/contracts-search';
import { eventually } from '@jogakbo/testing';
import { SearchFixture } from './shelf.ts';

describe('the product index', () => {
  let index: SearchFixture;
  const names = async (q: string) =>
    (await index.search.ask(SearchProducts, { q })).items.map(({ name }) => name);
  const deleteAllRows = () =>
    index.search.query(
      ['product', 'product_terms', 'product_names', 'stock', 'vocabulary', 'inbox']
        .map((table) => `DELETE FROM ${table};`)
        .join(''),
    );

  beforeAll(async () => {
    index = await SearchFixture.start();
  });
  afterEach(deleteAllRows);
  afterAll(() => index.stop());

  it('finds a product by its current name only', async () => {
    const product = await index.add('모시 조각보', 'Ramie Cloth');
    await index.publishAndWait(
      ProductChanged({
        ...product,
        name: '삼베 조각보',
        version: 2,
        category: 'summer',
        price: { amount: 5, currency: 'KRW' },
        translations: { en: { name: 'Hemp Cloth', description: '' } },
      }),
    );
    await expect(names('모시')).resolves.toEqual([]);
    await expect(names('ramie')).resolves.toEqual([]);
    const { items } = await index.search.ask(SearchProducts, { q: 'hemp', category: 'summer', maxPrice: 5 });
    expect(items).toMatchObject([{ name: '삼베 조각보', version: 2, category: 'summer' }]);
  });

  it('ignores older versions', async () => {
    const product = await index.add('하나', 'One');
    await index.publishAndWait(ProductChanged({ ...product, name: '세엣', version: 3 }));
    await index.publishAndWait(ProductChanged({ ...product, name: '두울', version: 2 }));
    await index.publishAndWait(ProductAdded(product));
    await expect(names('세엣')).resolves.toEqual(['세엣']);
    await expect(names('두울')).resolves.toEqual([]);
    await expect(names('하나')).resolves.toEqual([]);
  });

  it('never brings a removed product back', async () => {
    const product = await index.add('나비', 'Butterfly');
    await index.publishAndWait(ProductRemoved({ productId: product.productId }));
    await expect(names('나비')).resolves.toEqual([]);
    await expect(index.search.ask(SuggestProducts, { q: '나' })).resolves.toEqual({ items: [] });
    await index.publishAndWait(ProductChanged({ ...product, version: 9 }));
    await expect(names('나비')).resolves.toEqual([]);

    const early = { ...product, productId: randomUUIDv7(), version: 1 };
    await index.publishAndWait(ProductRemoved({ productId: early.productId }));
    await index.publishAndWait(ProductAdded(early));
    await expect(names('나비')).resolves.toEqual([]);
  });

  it('stores stock before and after its product', async () => {
    const productId = randomUUIDv7();
    await index.setStock(productId, 3);
    const product = { ...(await index.add('학', 'Crane')), productId };
    await index.publishAndWait(ProductAdded(product));
    const { items } = await index.search.ask(SearchProducts, { q: 'crane', sort: 'newest' });
    expect(items.find((item) => item.productId === productId)).toMatchObject({ available: 3 });
  });

  it('ignores older stock versions', async () => {
    const { productId } = await index.add('학', 'Crane');
    await index.setStock(productId, 5, 1);
    await index.setStock(productId, 0, 3);
    await index.setStock(productId, 2, 2); // a late retry
    const { items } = await index.search.ask(SearchProducts, { q: 'crane' });
    expect(items).toMatchObject([{ available: 0 }]);
  });

  it('gives the same rows for the same events, however often each is delivered', async () => {
    const [one, other] = [await index.add('백자 찻잔', 'Teacup'), await index.add('놋 접시', 'Plate')];
    const events = [
      ProductAdded(one),
      StockChanged({ productId: one.productId, available: 4, version: 1 }),
      ProductChanged({ ...one, name: '청자 찻잔', version: 2 }),
      ProductAdded(other),
      ProductRemoved({ productId: other.productId }),
      StockChanged({ productId: one.productId, available: 2, version: 2 }),
    ];
    await deleteAllRows();
    for (const event of events) await index.publishAndWait(event);
    const once = await index.readRows();
    expect(JSON.stringify(once)).toContain('청자');
    await deleteAllRows();
    for (const event of events) for (let time = 0; time < 2; time++) await index.publishAndWait(event);
    await expect(index.readRows()).resolves.toEqual(once);
  });

  it('accepts the longest texts that the catalog allows', async () => {
    const longest = { ko: '가'.repeat(2000), en: `${'x'.repeat(1990)} longtext` };
    await index.add('뷁'.repeat(200), 'w'.repeat(200), longest);
    await expect(names('longtext')).resolves.toHaveLength(1);
    await expect(names('뷁뷁뷁')).resolves.toHaveLength(1);
    await expect(index.search.ask(SuggestProducts, { q: '뷁'.repeat(100) })).resolves.toMatchObject({
      items: [{ text: '뷁'.repeat(200) }],
    });
  });

  it('accepts many concurrent products with the same new words', async () => {
    const product = await index.add('하나', 'One');
    const many = Array.from({ length: 40 }, (_, at) => ({
      ...product,
      productId: randomUUIDv7(),
      // Each has the same words in another order.
      name: ['다듬이', '방망이', '항아리', '가마솥']
        .map((_, i, words) => words[(i + at) % words.length])
        .join(' '),
    }));
    await Promise.all(many.map((one) => index.search.announce(ProductAdded(one))));
    const { facets } = await eventually(async () => {
      const found = await index.search.ask(SearchProducts, { q: '항아리' });
      return found.facets.category[0]?.count === many.length && found;
    });
    expect(facets.category).toEqual([{ value: 'textiles', count: 40 }]);
    await expect(index.readFaults()).resolves.toEqual([]);
  });
});
