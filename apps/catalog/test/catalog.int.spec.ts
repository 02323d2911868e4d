import { randomUUIDv7 } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { VersionCondition } from '@jogakbo/contract';
import {
  AddProduct,
  ChangeProduct,
  GetProduct,
  ListProducts,
  ProductAdded,
  ProductChanged,
  ProductRemoved,
  QuoteProducts,
  RemoveProduct,
} from '@jogakbo/contracts-catalog';
import { ServiceUnderTest } from '@jogakbo/testing';
import { DataSource } from 'typeorm';
import { UpperCaseSkus1700000001200 } from '../migrations/1700000001200-upper-case-skus.ts';
import { CatalogModule } from '../src/catalog.module.ts';
import { createPatchwork } from '../src/patchwork.ts';

describe('catalog', () => {
  let catalog: ServiceUnderTest;
  let count = 0;

  beforeAll(async () => {
    catalog = await ServiceUnderTest.start(CatalogModule);
  });
  afterAll(() => catalog.stop());

  const add = (fields: { sku?: string; category?: string } = {}) =>
    catalog.ask(AddProduct, {
      sku: `SKU-${++count}`,
      name: '조각보',
      category: 'textiles',
      price: { amount: 42_000, currency: 'KRW' },
      translations: { en: { name: 'Wrapping cloth', description: 'Stitched by hand.' } },
      ...fields,
    });

  it('adds a product and publishes it', async () => {
    const { productId, version } = await add();
    expect(version).toBe(1);
    await catalog.waitForEvent(ProductAdded, (event) => event.productId === productId);
    await expect(catalog.ask(GetProduct, { productId })).resolves.toMatchObject({
      name: '조각보',
      price: { amount: 42_000, currency: 'KRW' },
    });
  });

  it('returns a product in the requested language', async () => {
    const { productId } = await add();
    const english = await catalog.ask(GetProduct, { productId }, { language: 'en' });
    expect(english).toMatchObject({ name: 'Wrapping cloth', description: 'Stitched by hand.' });
  });

  it('rejects a second product with the same SKU', async () => {
    await add({ sku: 'TWICE' });
    await expect(add({ sku: 'TWICE' })).rejects.toMatchObject({ code: 'sku-taken', status: 409 });
  });

  it('lets another product take the SKU of a removed one', async () => {
    const { productId, version } = await add({ sku: 'AGAIN' });
    await catalog.ask(RemoveProduct, { productId, version });
    const again = await add({ sku: 'again' });
    expect(again.productId).not.toBe(productId);
    await expect(catalog.ask(GetProduct, { productId })).rejects.toMatchObject({ code: 'not-found' });
  });

  it('treats SKUs that differ only in case as equal', async () => {
    const { sku, imageUrl } = await add({ sku: 'Mixed-Case.1' });
    expect(sku).toBe('MIXED-CASE.1');
    expect(imageUrl).toBe(createPatchwork('MIXED-CASE.1'));
    for (const same of ['mixed-case.1', 'MIXED-CASE.1'])
      await expect(add({ sku: same })).rejects.toMatchObject({ code: 'sku-taken', status: 409 });
  });

  it('migrates SKUs to upper case and publishes the changes', async () => {
    const migration = new UpperCaseSkus1700000001200();
    const runner = catalog.get(DataSource).createQueryRunner();
    await migration.down(runner);
    const [older, newer] = [randomUUIDv7(), randomUUIDv7()].sort() as [string, string];
    await catalog.query(
      `INSERT INTO product SELECT id, sku, 'x', '', '{}', 'old', 1, 'KRW', '', 3, removed_at
       FROM (VALUES ($1::uuid, 'old-1', NULL), ($2, 'OLD-1', NULL), ($3, 'old-1', now())) AS old (id, sku, removed_at)`,
      [older, newer, randomUUIDv7()],
    );
    await migration.up(runner);
    await runner.release();
    const skus = { [older]: 'OLD-1', [newer]: `OLD-1-${newer.toUpperCase()}` };
    for (const [productId, sku] of Object.entries(skus)) {
      await expect(catalog.ask(GetProduct, { productId })).resolves.toMatchObject({ sku, version: 4 });
      const announced = await catalog.waitForEvent(ProductChanged, (event) => event.productId === productId);
      expect(announced).toMatchObject({ sku, version: 4, price: { amount: 1, currency: 'KRW' } });
    }
    await expect(add({ sku: 'Old-1' })).rejects.toMatchObject({ code: 'sku-taken' });
  });

  describe('a change in a language', () => {
    const texts = async (productId: string) => {
      const [ko, en] = await Promise.all(
        (['ko', 'en'] as const).map((language) => catalog.ask(GetProduct, { productId }, { language })),
      );
      return [ko!.name, ko!.description, en!.name, en!.description];
    };
    it.each([
      [
        'changes the translation if there is one',
        { name: 'Cloth' },
        'en',
        ['조각보', '', 'Cloth', 'Stitched by hand.'],
      ],
      [
        'changes the original if there is none',
        { name: '보' },
        'ko',
        ['보', '', 'Wrapping cloth', 'Stitched by hand.'],
      ],
      ['removes a translation with null', { translations: { en: null } }, 'en', ['조각보', '', '조각보', '']],
      [
        'changes one text of a translation',
        { translations: { en: { name: 'Cloth' } } },
        'ko',
        ['조각보', '', 'Cloth', 'Stitched by hand.'],
      ],
      [
        'starts a translation with the original text',
        { translations: { ko: { description: '손바느질' } } },
        'ko',
        ['조각보', '손바느질', 'Wrapping cloth', 'Stitched by hand.'],
      ],
      [
        'changes the original if the same change removes the translation',
        { name: 'Cloth', translations: { en: null } },
        'en',
        ['Cloth', '', 'Cloth', ''],
      ],
    ] as const)('%s', async (_, change, language, expected) => {
      const { productId } = await add();
      const answer = await catalog.ask(ChangeProduct, { productId, version: 1, ...change }, { language });
      const shown = await texts(productId);
      expect(shown).toEqual(expected);
      expect([answer.name, answer.description]).toEqual(
        language === 'ko' ? shown.slice(0, 2) : shown.slice(2),
      );
    });
  });

  it('rejects all but one of several changes to the same version', async () => {
    const { productId } = await add();
    const change = (amount: number) =>
      catalog.ask(ChangeProduct, { productId, version: 1, price: { amount, currency: 'KRW' } });
    const results = await Promise.allSettled([change(1), change(2), change(3)]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { code: 'version-changed' } },
      { reason: { code: 'version-changed' } },
    ]);
    await catalog.waitForEvent(
      ProductChanged,
      (event) => event.productId === productId && event.version === 2,
    );
  });

  it('returns the prices of earlier versions', async () => {
    const { productId } = await add();
    const change = (version: number, fields: object) =>
      catalog.ask(ChangeProduct, { productId, version, ...fields });
    await change(1, { price: { amount: 40_000, currency: 'KRW' } });
    await change(2, { name: '모시 조각보' });
    await change(3, { price: { amount: 45_000, currency: 'KRW' } });
    const versions = [1, 2, 3, 4, 5];
    const { items, earlier } = await catalog.ask(QuoteProducts, {
      productIds: [productId],
      earlier: versions.map((version) => ({ productId, version })),
    });
    expect(items).toMatchObject([{ version: 4, price: { amount: 45_000 } }]);
    expect(earlier.map(({ version, price }) => [version, price.amount]).sort()).toEqual([
      ...[
        [1, 42_000],
        [2, 40_000],
        [3, 40_000],
        [4, 45_000],
      ], // none for the future version
    ]);
  });

  it('accepts If-Match with several versions or any version', async () => {
    const { productId } = await add();
    const change = (version: VersionCondition) =>
      catalog.ask(ChangeProduct, { productId, version, category: 'things' });
    await expect(change([1, 7])).resolves.toMatchObject({ version: 2 });
    await expect(change('*')).resolves.toMatchObject({ version: 3 });
    for (const version of [[], [1, 2], 2])
      await expect(change(version)).rejects.toMatchObject({ code: 'version-changed', status: 412 });
    const all = await Promise.all(Array.from({ length: 8 }, () => change('*')));
    expect(all.map(({ version }) => version).sort((a, b) => a - b)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    await expect(catalog.ask(RemoveProduct, { productId, version: [] })).rejects.toMatchObject({
      status: 412,
    });
    await catalog.ask(RemoveProduct, { productId, version: '*' });
    await expect(change('*')).rejects.toMatchObject({ code: 'not-found' });
  });

  it.each([
    ['an unknown currency', { price: { amount: 1, currency: 'QQQ' } }, 'price.currency'],
    ['a withdrawn currency', { price: { amount: 1, currency: 'BGN' } }, 'price.currency'],
    ['an invisible name', { name: '\u2800\u3164' }, 'name'],
    ['a text direction override in the description', { description: 'a\u202eb' }, 'description'],
  ])('rejects %s', async (_, fields, path) => {
    const { productId } = await add();
    await expect(catalog.ask(ChangeProduct, { productId, version: 1, ...fields })).rejects.toMatchObject({
      code: 'invalid',
      errors: expect.arrayContaining([{ path, message: expect.any(String) }]),
    });
  });

  it('removes a product', async () => {
    const { productId } = await add();
    await catalog.ask(RemoveProduct, { productId, version: 1 });
    await catalog.waitForEvent(ProductRemoved, (event) => event.productId === productId);
    await expect(catalog.ask(GetProduct, { productId })).rejects.toMatchObject({ code: 'not-found' });
    await expect(catalog.ask(QuoteProducts, { productIds: [productId] })).resolves.toMatchObject({
      items: [],
    });
  });

  it('pages through a category with each product once', async () => {
    const added = new Set<string>();
    for (let i = 0; i < 7; i++) added.add((await add({ category: 'paged' })).productId);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await catalog.ask(ListProducts, { category: 'paged', limit: 3, cursor });
      seen.push(...page.items.map(({ productId }) => productId));
      cursor = page.nextCursor ?? undefined;
    } while (cursor);
    expect(seen).toHaveLength(7);
    expect(new Set(seen)).toEqual(added);
  });

  it.each([
    [
      'an unknown field',
      { sku: 'X', name: 'x', category: 'c', price: { amount: 1, currency: 'KRW' }, colour: 'red' },
      'colour',
    ],
    [
      'a negative price',
      { sku: 'X', name: 'x', category: 'c', price: { amount: -1, currency: 'KRW' } },
      'price.amount',
    ],
    [
      'a script as image',
      { sku: 'X', name: 'x', category: 'c', price: { amount: 1, currency: 'KRW' }, imageUrl: 'javascript:x' },
      'imageUrl',
    ],
  ])('rejects %s and names the field', async (_, input, path) => {
    await expect(catalog.ask(AddProduct, input as never)).rejects.toMatchObject({
      code: 'invalid',
      status: 400,
      errors: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });
});
