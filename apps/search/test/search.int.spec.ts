import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Input } from '@jogakbo/contract';
import { encodeCursor, SearchProducts, SuggestProducts } from '@jogakbo/contracts-search';
import { Shelf } from './shelf.ts';

describe('finding products', () => {
  let shelf: Shelf;
  const find = (q: string, query: Partial<Input<typeof SearchProducts>> = {}, language: 'ko' | 'en' = 'ko') =>
    shelf.search.ask(SearchProducts, { q, ...query }, { language });
  const names = async (q: string, query: Partial<Input<typeof SearchProducts>> = {}) =>
    (await find(q, query)).items.map(({ name }) => name);
  const suggested = async (q: string, language: 'ko' | 'en' = 'ko') =>
    (await shelf.search.ask(SuggestProducts, { q }, { language })).items.map(({ text }) => text);

  beforeAll(async () => {
    shelf = await Shelf.open();
    await shelf.put('모시 조각보', 'Ramie Patchwork Cloth', { amount: 48_000, category: 'textiles' });
    await shelf.put('무명 보자기', 'Cotton Bojagi', { amount: 29_000, category: 'textiles' });
    await shelf.put('옥사 커튼', 'Oksa Silk Curtain', {
      amount: 68_000,
      category: 'textiles',
      ko: '비치는 천을 조각보처럼 이은 커튼입니다.',
      en: 'Translucent panels stitched together like patchwork.',
    });
    await shelf.put('청자 찻잔', 'Celadon Teacup', { amount: 56_000, category: 'ceramics' });
    await shelf.put('백자찻잔 받침', 'Porcelain Saucers', { amount: 9_000, category: 'ceramics' });
    await shelf.put('모시 셔츠', 'Ramie Shirt', { amount: 74_000, category: 'clothing' });
    await shelf.put('국화차', 'Chrysanthemum Tea', { amount: 22_000, category: 'tea', sku: 'TEE-001' });
    await shelf.put('양모 붓', 'Brush', { category: 'paper', sku: 'BRU-007', ko: '차가운 물에 씻습니다.' });
    await shelf.put('한지 종이', 'Mulberry Paper', { category: 'paper', sku: 'BRU-008' });
    await shelf.put('밤꿀', 'Chestnut Honey', { category: 'pantry', ko: '종이 상자에 담았습니다.' });
    await shelf.put('약과 떡', 'Smørrebrød of Łódź', { category: 'pantry', en: 'Baked in the Weißstraße.' });
    await shelf.put('풍경', 'Wind Bell', { amount: 18_000, category: 'metal', ko: '소리가 맑은 종입니다.' });
  });
  afterAll(() => shelf.close());

  it.each([
    ['two syllables', '보자기', ['무명 보자기']],
    ['two syllables', '모시', ['모시 조각보', '모시 셔츠']],
    ['the name before the description', '조각보', ['모시 조각보', '옥사 커튼']],
    ['a particle', '조각보를', ['모시 조각보', '옥사 커튼']],
    ['the word before the part of a word', '찻잔은', ['청자 찻잔', '백자찻잔 받침']],
    ['several particles', '보자기로는', ['무명 보자기']],
    ['a particle in the description', '커튼', ['옥사 커튼']],
    ['one syllable that names the thing', '차', ['국화차']],
    ['together what is written apart', '찻잔받침', ['백자찻잔 받침']],
    ['two words', '모시 조각보', ['모시 조각보']],
    ['two languages', 'ramie 조각보', ['모시 조각보']],
    ['an unfinished Korean word', '조각', ['모시 조각보', '옥사 커튼']],
    ['an English word in any case', 'CELADON', ['청자 찻잔']],
    ['another number', 'teacups', ['청자 찻잔']],
    ['the other number', 'saucer', ['백자찻잔 받침']],
    ['apart what is written together', 'tea cup', ['청자 찻잔']],
    ['an unfinished English word', 'chrysan', ['국화차']],
    ['letters swapped', 'patchwrok', ['모시 조각보', '옥사 커튼']],
    ['a letter missing', 'bojgi', ['무명 보자기']],
    ['a letter too many', 'ceeladon', ['청자 찻잔']],
    ['a wrong letter', 'chrysanthenum tea', ['국화차']],
    ['a wrong stroke', '조각부', ['모시 조각보', '옥사 커튼']],
    ['some of the words where none has all', 'ramie teapot', ['모시 조각보', '모시 셔츠']],
    ['more of the words before fewer', 'ramie shirt teapot', ['모시 셔츠', '모시 조각보']],
    ['half of a long Korean word where nothing has it', '백자항아리', ['백자찻잔 받침']],
    ['the whole word before its beginning', 'tea', ['국화차', '청자 찻잔']],
    ['one syllable with a particle', '붓이', ['양모 붓']],
    ['one syllable with a particle', '떡과', ['약과 떡']],
    ['the end of a word with a particle', '꿀이', ['밤꿀']],
    ['a noun of one syllable, and no beginning of another word', '차가', ['국화차']],
    ['that word itself', '차가운', ['양모 붓']],
    ['a noun that ends like a particle', '종이', ['한지 종이', '밤꿀']],
    ['a SKU', 'TEE-001', ['국화차']],
    ['a SKU in small letters', 'bru-008', ['한지 종이']],
    ['the beginning of a SKU', 'Bru-', ['양모 붓', '한지 종이']],
    ['letters that begin a SKU and no word', 'TEE', ['국화차']],
    ['letters without their strokes', 'smorrebrod lodz', ['약과 떡']],
    ['letters with their strokes', 'ŁÓDŹ', ['약과 떡']],
    ['ss for ß', 'weissstrasse', ['약과 떡']],
    ['nothing', 'zzzzz', []],
    ['signs', "!?' & | :* <-> \\", []],
  ])('by %s: %s', async (_, q, expected = [] as string[]) => {
    const found = await names(q);
    // Between equals the order is that of their ids.
    expect(found).toEqual(expected);
  });

  it('lets no common word drown a rare one where some of the words are enough', async () => {
    await shelf.search.query(
      `INSERT INTO products_1.product_terms (product_id, category, amount, currency, terms)
       SELECT gen_random_uuid(), 'common', 1, 'KRW', 'common:1A' FROM generate_series(1, 600)`,
    );
    const { items, facets } = await find('common bell', { category: 'metal' });
    await shelf.search.query(`DELETE FROM products_1.product_terms WHERE category = 'common'`);
    expect(items.map(({ name }) => name)).toEqual(['풍경']);
    expect(facets.category).toEqual([
      { value: 'common', count: 500 },
      { value: 'metal', count: 1 },
    ]);
  });

  it('answers in the language of the shopper', async () => {
    const [korean, english] = await Promise.all([find('모시 조각보'), find('모시 조각보', {}, 'en')]);
    expect(korean.items[0]).toMatchObject({
      name: '모시 조각보',
      price: { amount: 48_000, currency: 'KRW' },
    });
    expect(english.items[0]).toMatchObject({ name: 'Ramie Patchwork Cloth', description: '' });
    expect(english.items[0]!.score).toBeGreaterThan(0);
  });

  it('says how many can be bought where it knows', async () => {
    const { productId, available } = (await find('celadon')).items[0]!;
    expect(available).toBeUndefined();
    await shelf.stock(productId, 7);
    expect((await find('celadon')).items[0]).toMatchObject({ available: 7 });
    await shelf.stock(productId, 0, 2);
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
    // Each facet without its own filter: what else there would be.
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

  describe('with prices in several currencies', () => {
    const q = '나막신';
    beforeAll(async () => {
      await shelf.put('나막신', 'Clogs', { amount: 90_000 });
      await shelf.put('작은 나막신', 'Small Clogs', { amount: 50_000 });
      await shelf.put('은 나막신', 'Silver Clogs', { amount: 12_000, currency: 'USD' });
      // Cheaper than all others in minor units, and dearer in the market.
      await shelf.put('금 나막신', 'Golden Clogs', { amount: 9_000, currency: 'KWD' });
    });

    it('compares those in the currency of most products, and says which', async () => {
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

    it('shows all where prices are not compared, and counts ranges in one currency', async () => {
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

    it('compares those in the currency asked for', async () => {
      const { items, currency, facets } = await find(q, { currency: 'USD', maxPrice: 20_000 });
      expect(items).toMatchObject([{ price: { amount: 12_000, currency: 'USD' } }]);
      expect(currency).toBe('USD');
      expect(facets.price).toEqual([{ minPrice: 10_000, maxPrice: 29_999, count: 1 }]);
      const { items: none } = await find(q, { currency: 'EUR' });
      expect(none).toEqual([]);
    });

    it('stays in its currency from page to page', async () => {
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

  it('leaves the answer to the catalog while its index is built in a new shape', async () => {
    await shelf.search.query('ALTER VIEW product_terms RENAME TO newer');
    await shelf.search.query(
      'CREATE VIEW product_terms AS SELECT product_id, category, amount, terms FROM newer',
    );
    await expect(find('모시')).rejects.toMatchObject({ code: 'unavailable' });
    await shelf.search.query('DROP VIEW product_terms');
    await shelf.search.query('ALTER VIEW newer RENAME TO product_terms');
    await expect(names('모시', { sort: 'newest' })).resolves.toEqual(['모시 셔츠', '모시 조각보']);
  });

  it('goes on from a page of the catalog where both sort alike, and begins anew where they do not', async () => {
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
    const anew = await find('모시', { limit: 1, cursor: cursor('relevance') });
    expect(anew).toMatchObject({ restarted: true, items: (await find('모시', { limit: 1 })).items });
    expect((await find('모시', { limit: 1, cursor: anew.nextCursor! })).restarted).toBeUndefined();
  });

  it.each(['relevance', 'price-asc', 'price-desc', 'newest'] as const)(
    'pages by %s, each product once and in the order of the whole',
    async (sort) => {
      // Neither word alone fits all: the pages after the first must look as far as the first did.
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

  it('suggests while a name is being typed, at every stroke', async () => {
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
    ['nothing to look for', { q: ' ' }, 'q'],
    ['too much', { q: 'x'.repeat(101) }, 'q'],
    ['a least price above the highest', { q: 'tea', minPrice: 2, maxPrice: 1 }, 'minPrice'],
    ['half a won', { q: 'tea', maxPrice: 0.5 }, 'maxPrice'],
    ['an unknown sort', { q: 'tea', sort: 'colour' }, 'sort'],
    ['a category that is none', { q: 'tea', category: "'; DROP" }, 'category'],
    ['an unknown field', { q: 'tea', colour: 'red' }, 'colour'],
    ['too long a page', { q: 'tea', limit: 101 }, 'limit'],
  ])('refuses %s and names the field', async (_, query, path) => {
    await expect(shelf.search.ask(SearchProducts, query as never)).rejects.toMatchObject({
      code: 'invalid',
      status: 400,
      errors: expect.arrayContaining([expect.objectContaining({ path })]),
    });
  });

  it('refuses a cursor that it did not give for this sort', async () => {
    const { nextCursor } = await find('모시', { limit: 1 });
    expect(nextCursor).toEqual(expect.any(String));
    const refused = {
      code: 'unknown-cursor',
      status: 400,
      errors: [expect.objectContaining({ path: 'cursor' })],
    };
    await expect(find('모시', { cursor: nextCursor!, sort: 'newest' })).rejects.toMatchObject(refused);
    for (const cursor of [
      'x',
      'search.relevance.0.KRW.1.x',
      'bnVsbA',
      `${nextCursor}.x`,
      'catalog.relevance.0',
    ]) {
      await expect(find('모시', { cursor })).rejects.toMatchObject(refused);
    }
  });
});
