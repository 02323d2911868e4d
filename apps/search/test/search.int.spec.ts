import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Input } from '@jogakbo/contract';
import { encodeCursor, SearchProducts, SuggestProducts } from '@jogakbo/contracts-search';
import { SearchFixture } from './shelf.ts';

describe('search', () => {
  let index: SearchFixture;
  const find = (q: string, query: Partial<Input<typeof SearchProducts>> = {}, language: 'ko' | 'en' = 'ko') =>
    index.search.ask(SearchProducts, { q, ...query }, { language });
  const names = async (q: string, query: Partial<Input<typeof SearchProducts>> = {}) =>
    (await find(q, query)).items.map(({ name }) => name);
  const suggested = async (q: string, language: 'ko' | 'en' = 'ko') =>
    (await index.search.ask(SuggestProducts, { q }, { language })).items.map(({ text }) => text);

  beforeAll(async () => {
    index = await SearchFixture.start();
    await index.add('모시 조각보', 'Ramie Patchwork Cloth', { amount: 48_000, category: 'textiles' });
    await index.add('무명 보자기', 'Cotton Bojagi', { amount: 29_000, category: 'textiles' });
    await index.add('옥사 커튼', 'Oksa Silk Curtain', {
      amount: 68_000,
      category: 'textiles',
      ko: '비치는 천을 조각보처럼 이은 커튼입니다.',
      en: 'Translucent panels stitched together like patchwork.',
    });
    await index.add('청자 찻잔', 'Celadon Teacup', { amount: 56_000, category: 'ceramics' });
    await index.add('백자찻잔 받침', 'Porcelain Saucers', { amount: 9_000, category: 'ceramics' });
    await index.add('모시 셔츠', 'Ramie Shirt', { amount: 74_000, category: 'clothing' });
    await index.add('국화차', 'Chrysanthemum Tea', { amount: 22_000, category: 'tea', sku: 'TEE-001' });
    await index.add('양모 붓', 'Brush', { category: 'paper', sku: 'BRU-007', ko: '차가운 물에 씻습니다.' });
    await index.add('한지 종이', 'Mulberry Paper', { category: 'paper', sku: 'BRU-008' });
    await index.add('밤꿀', 'Chestnut Honey', { category: 'pantry', ko: '종이 상자에 담았습니다.' });
    await index.add('약과 떡', 'Smørrebrød of Łódź', { category: 'pantry', en: 'Baked in the Weißstraße.' });
    await index.add('풍경', 'Wind Bell', { amount: 18_000, category: 'metal', ko: '소리가 맑은 종입니다.' });
  });
  afterAll(() => index.stop());

  it.each([
    ['two syllables', '보자기', ['무명 보자기']],
    ['two syllables', '모시', ['모시 조각보', '모시 셔츠']],
    ['the name above the description', '조각보', ['모시 조각보', '옥사 커튼']],
    ['a particle', '조각보를', ['모시 조각보', '옥사 커튼']],
    ['the word above a part of a word', '찻잔은', ['청자 찻잔', '백자찻잔 받침']],
    ['several particles', '보자기로는', ['무명 보자기']],
    ['a particle in the description', '커튼', ['옥사 커튼']],
    ['one syllable that names the kind of product', '차', ['국화차']],
    ['one word for two in the product', '찻잔받침', ['백자찻잔 받침']],
    ['two words', '모시 조각보', ['모시 조각보']],
    ['two languages', 'ramie 조각보', ['모시 조각보']],
    ['an incomplete Korean word', '조각', ['모시 조각보', '옥사 커튼']],
    ['an English word in any case', 'CELADON', ['청자 찻잔']],
    ['the plural of a singular', 'teacups', ['청자 찻잔']],
    ['the singular of a plural', 'saucer', ['백자찻잔 받침']],
    ['two words for one in the product', 'tea cup', ['청자 찻잔']],
    ['an incomplete English word', 'chrysan', ['국화차']],
    ['swapped letters', 'patchwrok', ['모시 조각보', '옥사 커튼']],
    ['a missing letter', 'bojgi', ['무명 보자기']],
    ['an extra letter', 'ceeladon', ['청자 찻잔']],
    ['a wrong letter', 'chrysanthenum tea', ['국화차']],
    ['a wrong keystroke', '조각부', ['모시 조각보', '옥사 커튼']],
    ['some of the words if no product has all', 'ramie teapot', ['모시 조각보', '모시 셔츠']],
    ['more of the words above fewer', 'ramie shirt teapot', ['모시 셔츠', '모시 조각보']],
    ['half of a long Korean word if no product has it', '백자항아리', ['백자찻잔 받침']],
    ['the whole word above its prefix', 'tea', ['국화차', '청자 찻잔']],
    ['one syllable with a particle', '붓이', ['양모 붓']],
    ['one syllable with a particle', '떡과', ['약과 떡']],
    ['the end of a word with a particle', '꿀이', ['밤꿀']],
    ['a noun of one syllable, not as a prefix of another word', '차가', ['국화차']],
    ['that word itself', '차가운', ['양모 붓']],
    ['a noun that ends like a particle', '종이', ['한지 종이', '밤꿀']],
    ['a SKU', 'TEE-001', ['국화차']],
    ['a SKU in lower case', 'bru-008', ['한지 종이']],
    ['the prefix of a SKU', 'Bru-', ['양모 붓', '한지 종이']],
    ['letters that are the prefix of a SKU only', 'TEE', ['국화차']],
    ['letters without diacritics', 'smorrebrod lodz', ['약과 떡']],
    ['letters with diacritics', 'ŁÓDŹ', ['약과 떡']],
    ['ss for ß', 'weissstrasse', ['약과 떡']],
    ['no match', 'zzzzz', []],
    ['punctuation', "!?' & | :* <-> \\", []],
  ])('by %s: %s', async (_, q, expected = [] as string[]) => {
    const found = await names(q);
    // The id breaks ties.
    expect(found).toEqual(expected);
  });

  it('finds rare words beside common ones if some of the words are enough', async () => {
    await index.search.query(
      `INSERT INTO products_1.product_terms (product_id, category, amount, currency, terms)
       SELECT gen_random_uuid(), 'common', 1, 'KRW', 'common:1A' FROM generate_series(1, 600)`,
    );
    const { items, facets } = await find('common bell', { category: 'metal' });
    await index.search.query(`DELETE FROM products_1.product_terms WHERE category = 'common'`);
    expect(items.map(({ name }) => name)).toEqual(['풍경']);
    expect(facets.category).toEqual([
      { value: 'common', count: 500 },
      { value: 'metal', count: 1 },
    ]);
  });

  it('returns products in the requested language', async () => {
    const [korean, english] = await Promise.all([find('모시 조각보'), find('모시 조각보', {}, 'en')]);
    expect(korean.items[0]).toMatchObject({
      name: '모시 조각보',
      price: { amount: 48_000, currency: 'KRW' },
    });
    expect(english.items[0]).toMatchObject({ name: 'Ramie Patchwork Cloth', description: '' });
    expect(english.items[0]!.score).toBeGreaterThan(0);
  });

  it('returns the available number if it was published', async () => {
    const { productId, available } = (await find('celadon')).items[0]!;
    expect(available).toBeUndefined();
    await index.setStock(productId, 7);
    expect((await find('celadon')).items[0]).toMatchObject({ available: 7 });
    await index.setStock(productId, 0, 2);
    expect((await find('celadon')).items[0]).toMatchObject({ available: 0 });
  });

  it('sorts, filters and counts', async () => {
    const prices = async (sort: 'price-asc' | 'price-desc') =>
      (await find('모시 찻잔 보자기', { sort })).items.map(({ price }) => price.amount);
    await expect(prices('price-asc')).resolves.toEqual([9_000, 29_000, 48_000, 56_000, 74_000]);
    await expect(prices('price-desc')).resolves.toEqual([74_000, 56_000, 48_000, 29_000, 9_000]);
    await expect(names('모시', { sort: 'newest' })).resolves.toEqual(['모시 셔츠', '모시 조각보']);

    const filtered = await find('모시 찻잔 보자기', { category: 'textiles', minPrice: 30_000 });
    expect(filtered.items.map(({ name }) => name)).toEqual(['모시 조각보']);
    // Each facet ignores its own filter.
    expect(filtered.facets).toEqual({
      category: [
        { value: 'ceramics', count: 1 },
        { value: 'clothing', count: 1 },
        { value: 'textiles', count: 1 },
      ],
      currency: [{ value: 'KRW', count: 2 }],
      price: [
        { minPrice: 10_000, maxPrice: 29_999, count: 1 },
        { minPrice: 30_000, maxPrice: 49_999, count: 1 },
      ],
    });
    await expect(names('모시', { minPrice: 74_000, maxPrice: 74_000 })).resolves.toEqual(['모시 셔츠']);
  });

  it('is unavailable while its index is rebuilt with a new schema', async () => {
    await index.search.query('ALTER VIEW product_terms RENAME TO newer');
    await index.search.query(
      'CREATE VIEW product_terms AS SELECT product_id, category, amount, terms FROM newer',
    );
    await expect(find('모시')).rejects.toMatchObject({ code: 'unavailable' });
    await index.search.query('DROP VIEW product_terms');
    await index.search.query('ALTER VIEW newer RENAME TO product_terms');
    await expect(names('모시', { sort: 'newest' })).resolves.toEqual(['모시 셔츠', '모시 조각보']);
  });

  it('continues a page of the catalog with a comparable sort, and restarts otherwise', async () => {
    const [, second] = (await find('모시', { sort: 'price-asc' })).items;
    const place = { by: 'catalog', step: 0, currency: 'KRW', key: 48_000 } as const;
    const cursor = (sort: string) =>
      encodeCursor({ ...place, sort, productId: '0190a5a0-0000-7000-8000-000000000000' });
    const next = await find('모시', { sort: 'price-asc', cursor: cursor('price-asc') });
    expect(next.items.map(({ price }) => price.amount)).toEqual([48_000, 74_000]);
    expect(next.restarted).toBeUndefined();
    const after = encodeCursor({
      ...place,
      sort: 'price-desc',
      key: second!.price.amount,
      productId: second!.productId,
    });
    expect(
      (await find('모시', { sort: 'price-desc', cursor: after })).items.map(({ price }) => price.amount),
    ).toEqual([48_000]);
    const restarted = await find('모시', { limit: 1, cursor: cursor('relevance') });
    expect(restarted).toMatchObject({ restarted: true, items: (await find('모시', { limit: 1 })).items });
    expect((await find('모시', { limit: 1, cursor: restarted.nextCursor! })).restarted).toBeUndefined();
  });

  it.each(['relevance', 'price-asc', 'price-desc', 'newest'] as const)(
    'pages by %s, with each product once and in the same order as without pages',
    async (sort) => {
      // No single word matches all: later pages must use the same step as the first.
      const q = 'ramie teacup saucers bojgi';
      const whole = (await find(q, { sort })).items.map(({ productId }) => productId);
      expect(whole).toHaveLength(5);
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await find(q, { sort, limit: 2, cursor });
        seen.push(...page.items.map(({ productId }) => productId));
        cursor = page.nextCursor ?? undefined;
      } while (cursor);
      expect(seen).toEqual(whole);
    },
  );

  it('suggests at every keystroke of a name', async () => {
    for (const q of ['무', '뭄', '무며', '무명', '무명 ', '무명 ㅂ', '무명 봊', '무명 보자', '무명 보자기']) {
      await expect(suggested(q)).resolves.toContain('무명 보자기');
    }
    await expect(suggested('조각')).resolves.toEqual(['모시 조각보']);
    await expect(suggested('ram pa')).resolves.toEqual(['모시 조각보']);
    await expect(suggested('ra', 'en')).resolves.toEqual(['Ramie Patchwork Cloth', 'Ramie Shirt']);
    await expect(suggested('patchwrok', 'en')).resolves.toEqual(['Ramie Patchwork Cloth']);
    await expect(suggested('zzz')).resolves.toEqual([]);
    await expect(suggested('!')).resolves.toEqual([]);
  });

  it.each([
    ['an empty query', { q: ' ' }, 'q'],
    ['too long a query', { q: 'x'.repeat(101) }, 'q'],
    ['a lowest price above the highest', { q: 'tea', minPrice: 2, maxPrice: 1 }, 'minPrice'],
    ['half a won', { q: 'tea', maxPrice: 0.5 }, 'maxPrice'],
    ['an unknown sort', { q: 'tea', sort: 'colour' }, 'sort'],
    ['an invalid category', { q: 'tea', category: "'; DROP" }, 'category'],
    ['an unknown field', { q: 'tea', colour: 'red' }, 'colour'],
    ['too long a page', { q: 'tea', limit: 101 }, 'limit'],
  ])('rejects %s and names the field', async (_, query, path) => {
    await expect(index.search.ask(SearchProducts, query as never)).rejects.toMatchObject({
      code: 'invalid',
      status: 400,
      errors: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });

  it('rejects a cursor of another sort', async () => {
    const { nextCursor } = await find('모시', { limit: 1 });
    expect(nextCursor).toEqual(expect.any(String));
    const rejection = {
      code: 'unknown-cursor',
      status: 400,
      errors: [expect.objectContaining({ path: 'cursor' })],
    };
    await expect(find('모시', { cursor: nextCursor!, sort: 'newest' })).rejects.toMatchObject(rejection);
    for (const cursor of [
      'x',
      'search.relevance.0.KRW.1.x',
      'bnVsbA',
      `${nextCursor}.x`,
      'catalog.relevance.0',
    ]) {
      await expect(find('모시', { cursor })).rejects.toMatchObject(rejection);
    }
  });
});
