import { describe, expect, it } from '@jest/globals';
import { CountryCode, CurrencyCode, minorUnitDigits, minorUnitsByCurrency } from './iso-codes.ts';
import { lineOfText, multilineText } from './text.ts';
import { Id } from './vocabulary.ts';

const Name = lineOfText(10);

describe('a line of text', () => {
  it.each(['김철수', 'Ⅷ', '-', "O'Neil", '나 영', '👨‍👩‍👧', '❤️', 'نامه\u200cای', 'क्\u200dष', '葛\u{e0100}城'])(
    'may read %j',
    (text) => {
      expect(Name.parse(text)).toBe(text);
    },
  );

  it.each([
    ['a control character', 'a\u0007b'],
    ['a line break', 'a\nb'],
    ['a separator of lines', 'a\u2028b'],
    ['an override of the direction', 'a\u202eb'],
    ['an isolate', '\u2066a\u2069'],
    ['a mark of direction', 'a\u200fb'],
    ['a zero-width space', 'a\u200bb'],
    ['a joiner that joins nothing', 'Ki\u200dm'],
    ['a byte order mark', 'a\ufeffb'],
    ['a soft hyphen', 'a\u00adb'],
    ['a mark of an annotation, which is no ignorable', 'a\ufff9b'],
    ['a Hangul filler', 'a\u3164b'],
    ['a tag', 'a\u{e0041}b'],
    ['a selector on a selector', '❤\ufe0f\ufe0f'],
    ['a private character', '\ue000'],
    ['half a surrogate pair', 'a\ud800'],
    ['nothing but fillers', '\u3164\u115f'],
    ['nothing but joiners', '\u200d\u200d'],
    ['nothing but blanks of Braille', '\u2800'],
    ['nothing but a mark', '\u0301'],
    ['nothing but spaces', ' \u00a0\u3000'],
    ['nothing', ''],
  ])('does not hold %s', (_, text) => {
    expect(Name.safeParse(text).success).toBe(false);
  });

  it('is counted and kept in its composed form', () => {
    const decomposed = '각각각각각각각각각각'.normalize('NFD');
    expect(decomposed).toHaveLength(30);
    expect(Name.parse(decomposed)).toBe('각각각각각각각각각각');
    expect(Name.safeParse(`${decomposed}각`).success).toBe(false);
  });

  it('is trimmed', () => {
    expect(Name.parse(' Kim\n')).toBe('Kim');
  });
});

it('a text of several lines may hold line breaks and tabs, and may be empty', () => {
  expect(multilineText(10).parse('a\r\n\tb')).toBe('a\r\n\tb');
  expect(multilineText(10).parse('')).toBe('');
  for (const text of ['a\u202eb', 'a\u0000b', 'a\u200bb'])
    expect(multilineText(10).safeParse(text).success).toBe(false);
});

it('a text of several lines is counted and kept in its composed form', () => {
  expect(multilineText(2).parse('각각'.normalize('NFD'))).toBe('각각');
});

describe('codes of ISO', () => {
  it.each(['KR', 'US', 'GB'])('%s is a country', (code) => {
    expect(CountryCode.safeParse(code).success).toBe(true);
  });
  it.each(['ZZ', 'XK', 'EU', 'UK', 'AN', 'kr', 'KOR', ''])('%s is none', (code) => {
    expect(CountryCode.safeParse(code).success).toBe(false);
  });
  it.each(['KRW', 'EUR', 'XCG'])('%s is a currency', (code) => {
    expect(CurrencyCode.safeParse(code).success).toBe(true);
  });
  it.each(['QQQ', 'XXX', 'XTS', 'XAU', 'HRK', 'krw', ''])('%s is none', (code) => {
    expect(CurrencyCode.safeParse(code).success).toBe(false);
  });
  it('know the minor units where those of CLDR differ', () => {
    const digits = ['KRW', 'HUF', 'LBP', 'IQD', 'TND', 'EUR'].map(minorUnitDigits);
    expect(digits).toEqual([0, 2, 2, 3, 3, 2]);
    expect(minorUnitDigits('HRK')).toBe(2);
    expect(minorUnitsByCurrency.size).toBe(155);
  });
});

it('an id in capitals is the same id', () => {
  expect(Id.parse('0190A5A0-0000-7000-8000-00000000000F')).toBe('0190a5a0-0000-7000-8000-00000000000f');
});
