import { describe, expect, it } from '@jest/globals';
import { buildSkuForms, buildTermQuery, buildTypedQuery } from './term-query.ts';
import { extractTerms } from './terms.ts';

const product = (ko: string, en: string, described = '', category = 'tea') => ({
  productId: '01890000-0000-7000-8000-000000000000',
  sku: 'TEA-001',
  name: ko,
  description: described,
  category,
  price: { amount: 1, currency: 'KRW' },
  imageUrl: '',
  version: 1,
  translations: { en: { name: en, description: '' } },
});
const terms = (...args: Parameters<typeof product>) =>
  extractTerms(product(...args))
    .terms.split(' ')
    .sort();

describe('extractTerms', () => {
  it('ranks names above their parts, and parts above descriptions', () => {
    expect(terms('찻잔 받침', 'Tea Cups', '찻잔을 받칩니다', 'stone')).toEqual(
      [
        "'#tea-001':1A",
        ...["'찻잔':1A", "'받침':1A", "'tea':1A", "'cups':1A"],
        ...[
          "'~찻잔':1B",
          "'~받침':1B",
          "'+잔받':1B",
          "'-잔':1B",
          "'-침':1B",
          "'cup':1B",
          "'teacups':1B",
          "'stone':1B",
        ],
        ...["'찻잔을':1C", "'받칩니다':1C"],
      ].sort(),
    );
  });

  it('includes ambiguous stems of the description, which have no prefix search', () => {
    expect(terms('함', 'Box', '종이로 만든 약과와 찻잔을')).toEqual(
      expect.arrayContaining(["'종이':1D", "'약과':1D"]),
    );
    expect(terms('함', 'Box', '찻잔을')).not.toContain("'찻잔':1D");
  });

  it('uses the higher weight of a word in both name and description', () => {
    expect(terms('찻잔', 'Cup', '찻잔 cup')).toEqual(expect.arrayContaining(["'찻잔':1A", "'cup':1A"]));
  });

  it('returns the keystrokes of both names and the candidates for typo corrections', () => {
    expect(extractTerms(product('모시 조각보', 'Ramie', '조각보는 cup'))).toMatchObject({
      typed: "'ㅁㅗㅅㅣ' 'ㅈㅗㄱㅏㄱㅂㅗ' 'ramie'",
      ko: 'ㅁㅗㅅㅣ ㅈㅗㄱㅏㄱㅂㅗ',
      en: 'ramie',
      vocabulary: ['ramie', '조각보', '조각보는'],
    });
  });
});

describe('buildTermQuery', () => {
  it('requires every word in one of its forms; only the last may be incomplete', () => {
    expect(buildTermQuery(['silk', 'cups'], 'all').matching).toEqual([
      "((('silk') & ('cup' | 'cups':*)) | 'silkcups' | 'silkcup')",
    ]);
  });

  it('finds Korean words within longer ones, with and without particles', () => {
    // The prefix '찻잔':* finds 찻잔, 찻잔은 and words that start with 찻잔은.
    expect(buildTermQuery(['찻잔은'], 'all').matching).toEqual(["((('찻잔':* | '~찻잔')))"]);
    expect(buildTermQuery(['조각보를'], 'all').matching).toEqual([
      "((('조각보':* | (('~조각' | '+조각') & ('~각보' | '+각보')))))",
    ]);
    expect(buildTermQuery(['차는'], 'all').matching).toEqual(["((('차' | '차는':* | '~차는' | '-차')))"]);
    expect(buildTermQuery(['차', '잔'], 'all').matching).toEqual([
      "((('차' | '-차') & ('잔' | '잔':*AB | '-잔')))",
    ]);
  });

  it('splits a noun of one syllable from its particle only on request', () => {
    // Not as a prefix of other words in descriptions, such as 차가운.
    expect(buildTermQuery(['차가'], 'all').matching).toEqual(["((('차가' | '차가':*AB | '~차가')))"]);
    expect(buildTermQuery(['차가'], 'all', new Map(), { nouns: true }).matching).toEqual([
      "((('차가' | '차가':*AB | '~차가' | '차' | '-차')))",
    ]);
  });

  it('finds a whole SKU, and its prefix if it is not a plain word', () => {
    expect(buildSkuForms(' Tea-0 ', false)).toEqual(["'#tea-0'", "'#tea-0':*"]);
    expect(buildSkuForms('TEA', false)).toEqual(["'#tea'"]);
    expect(buildSkuForms('tea', true)).toEqual(["'#tea'", "'#tea':*"]);
    for (const text of ["x'y", '찻잔', 'two words', '-', '']) expect(buildSkuForms(text, true)).toEqual([]);
    const { matching, exact } = buildTermQuery(['tea', '001'], 'all', new Map(), {
      skus: buildSkuForms('TEA-001', false),
    });
    expect(matching).toEqual(["((('tea') & ('001':*)) | 'tea001' | '#tea-001' | '#tea-001':*)"]);
    expect(exact).toContain("'#tea-001'");
  });

  it('ranks each form once, and whole words separately', () => {
    expect(buildTermQuery(['silk', 'silk'], 'all')).toMatchObject({
      exact: "'silk' | 'silksilk'",
      ranking: "'silk' | 'silk':* | 'silksilk'",
    });
  });

  it('adds corrections to a word, and searches each word separately if some are enough', () => {
    const corrections = new Map([['slik', ['silk', 'slim']]]);
    expect(buildTermQuery(['slik', 'cup'], 'some', corrections).matching).toEqual([
      "('slik' | 'silk' | 'slim')",
      "('cup':*)",
      "'slikcup'",
    ]);
    expect(buildTermQuery(['red', 'silk', '컵'], 'some').matching).toEqual([
      ...[
        "(('silk') & ('컵' | '컵':*AB | '-컵'))",
        "(('red') & ('컵' | '컵':*AB | '-컵'))",
        "(('red') & ('silk'))",
      ],
      ...["('red')", "('silk')", "('컵' | '컵':*AB | '-컵')"],
    ]);
  });

  it('uses at most eight words', () => {
    expect(buildTermQuery(Array(50).fill('조'), 'all').matching[0]!.match(/&/g)).toHaveLength(7);
  });
});

describe('buildTypedQuery', () => {
  it('accepts every word incomplete', () => {
    expect(buildTypedQuery(['백자', '찻'])).toBe("(('ㅂㅐㄱㅈㅏ':*) & ('ㅊㅏㅅ':*))");
    expect(buildTypedQuery(['slik'], new Map([['slik', ['silk']]]))).toBe("(('slik':* | 'silk':*))");
  });
});
