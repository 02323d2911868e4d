import { describe, expect, it } from '@jest/globals';
import { skuForms, termQuery, typedQuery } from './term-query.ts';
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
  it('weighs names before their parts, parts before descriptions', () => {
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

  it('keeps ambiguous stems of the description, which are not looked for as beginnings', () => {
    expect(terms('함', 'Box', '종이로 만든 약과와 찻잔을')).toEqual(
      expect.arrayContaining(["'종이':1D", "'약과':1D"]),
    );
    expect(terms('함', 'Box', '찻잔을')).not.toContain("'찻잔':1D");
  });

  it('keeps the heavier weight of a word that stands in both', () => {
    expect(terms('찻잔', 'Cup', '찻잔 cup')).toEqual(expect.arrayContaining(["'찻잔':1A", "'cup':1A"]));
  });

  it('gives the strokes of both names for typing, and the words that a typo is corrected to', () => {
    expect(extractTerms(product('모시 조각보', 'Ramie', '조각보는 cup'))).toMatchObject({
      typed: "'ㅁㅗㅅㅣ' 'ㅈㅗㄱㅏㄱㅂㅗ' 'ramie'",
      ko: 'ㅁㅗㅅㅣ ㅈㅗㄱㅏㄱㅂㅗ',
      en: 'ramie',
      vocabulary: ['ramie', '조각보', '조각보는'],
    });
  });
});

describe('termQuery', () => {
  it('needs every word in one of its forms; only the last may be unfinished', () => {
    expect(termQuery(['silk', 'cups'], 'all').matching).toEqual([
      "((('silk') & ('cup' | 'cups':*)) | 'silkcups' | 'silkcup')",
    ]);
  });

  it('looks for Korean words within longer ones, with and without their particles', () => {
    // The beginning '찻잔':* finds 찻잔, 찻잔은 and what begins with 찻잔은.
    expect(termQuery(['찻잔은'], 'all').matching).toEqual(["((('찻잔':* | '~찻잔')))"]);
    expect(termQuery(['조각보를'], 'all').matching).toEqual([
      "((('조각보':* | (('~조각' | '+조각') & ('~각보' | '+각보')))))",
    ]);
    expect(termQuery(['차는'], 'all').matching).toEqual(["((('차' | '차는':* | '~차는' | '-차')))"]);
    expect(termQuery(['차', '잔'], 'all').matching).toEqual([
      "((('차' | '-차') & ('잔' | '잔':*AB | '-잔')))",
    ]);
  });

  it('takes a noun of one syllable from its particle only where that is asked for', () => {
    // In descriptions not as the beginning of another word, such as 차가운.
    expect(termQuery(['차가'], 'all').matching).toEqual(["((('차가' | '차가':*AB | '~차가')))"]);
    expect(termQuery(['차가'], 'all', new Map(), { nouns: true }).matching).toEqual([
      "((('차가' | '차가':*AB | '~차가' | '차' | '-차')))",
    ]);
  });

  it('looks for a SKU as a whole, and for its beginning where it is no mere word', () => {
    expect(skuForms(' Tea-0 ', false)).toEqual(["'#tea-0'", "'#tea-0':*"]);
    expect(skuForms('TEA', false)).toEqual(["'#tea'"]);
    expect(skuForms('tea', true)).toEqual(["'#tea'", "'#tea':*"]);
    for (const text of ["x'y", '찻잔', 'two words', '-', '']) expect(skuForms(text, true)).toEqual([]);
    const { matching, exact } = termQuery(['tea', '001'], 'all', new Map(), {
      skus: skuForms('TEA-001', false),
    });
    expect(matching).toEqual(["((('tea') & ('001':*)) | 'tea001' | '#tea-001' | '#tea-001':*)"]);
    expect(exact).toContain("'#tea-001'");
  });

  it('ranks by every form once, whole words apart', () => {
    expect(termQuery(['silk', 'silk'], 'all')).toMatchObject({
      exact: "'silk' | 'silksilk'",
      ranking: "'silk' | 'silk':* | 'silksilk'",
    });
  });

  it('takes corrections beside the word, and looks for each word by itself where some are enough', () => {
    const corrections = new Map([['slik', ['silk', 'slim']]]);
    expect(termQuery(['slik', 'cup'], 'some', corrections).matching).toEqual([
      "('slik' | 'silk' | 'slim')",
      "('cup':*)",
      "'slikcup'",
    ]);
    expect(termQuery(['red', 'silk', '컵'], 'some').matching).toEqual([
      ...[
        "(('silk') & ('컵' | '컵':*AB | '-컵'))",
        "(('red') & ('컵' | '컵':*AB | '-컵'))",
        "(('red') & ('silk'))",
      ],
      ...["('red')", "('silk')", "('컵' | '컵':*AB | '-컵')"],
    ]);
  });

  it('takes no more than eight words', () => {
    expect(termQuery(Array(50).fill('조'), 'all').matching[0]!.match(/&/g)).toHaveLength(7);
  });
});

describe('typedQuery', () => {
  it('lets every word be unfinished', () => {
    expect(typedQuery(['백자', '찻'])).toBe("(('ㅂㅐㄱㅈㅏ':*) & ('ㅊㅏㅅ':*))");
    expect(typedQuery(['slik'], new Map([['slik', ['silk']]]))).toBe("(('slik':* | 'silk':*))");
  });
});
