import { describe, expect, it } from '@jest/globals';
import { lineOfText, multilineText } from './text.ts';
import { Id } from './vocabulary.ts';

const Name = lineOfText(10);

describe('a line of text', () => {
  it.each(['김철수', 'Ⅷ', '-', "O'Neil", '나 영', '👨‍👩‍👧', '❤️', 'نامه\u200cای', 'क्\u200dष', '葛\u{e0100}城'])(
    'accepts %j',
    (text) => {
      expect(Name.parse(text)).toBe(text);
    },
  );

  it.each([
    ['a control character', 'a\u0007b'],
    ['a line break', 'a\nb'],
    ['a line separator', 'a\u2028b'],
    ['a bidirectional override', 'a\u202eb'],
    ['a bidirectional isolate', '\u2066a\u2069'],
    ['a direction mark', 'a\u200fb'],
    ['a zero-width space', 'a\u200bb'],
    ['a joiner outside of a joining script', 'Ki\u200dm'],
    ['a byte order mark', 'a\ufeffb'],
    ['a soft hyphen', 'a\u00adb'],
    ['an interlinear annotation mark, which is not ignorable', 'a\ufff9b'],
    ['a Hangul filler', 'a\u3164b'],
    ['a tag character', 'a\u{e0041}b'],
    ['a variation selector after a variation selector', '❤\ufe0f\ufe0f'],
    ['a private-use character', '\ue000'],
    ['half a surrogate pair', 'a\ud800'],
    ['only fillers', '\u3164\u115f'],
    ['only joiners', '\u200d\u200d'],
    ['only blank Braille patterns', '\u2800'],
    ['only a combining mark', '\u0301'],
    ['only spaces', ' \u00a0\u3000'],
    ['an empty string', ''],
  ])('rejects %s', (_, text) => {
    expect(Name.safeParse(text).success).toBe(false);
  });

  it('is counted and returned in NFC', () => {
    const decomposed = '각각각각각각각각각각'.normalize('NFD');
    expect(decomposed).toHaveLength(30);
    expect(Name.parse(decomposed)).toBe('각각각각각각각각각각');
    expect(Name.safeParse(`${decomposed}각`).success).toBe(false);
  });

  it('is trimmed', () => {
    expect(Name.parse(' Kim\n')).toBe('Kim');
  });
});

it('multiline text can contain line breaks and tabs, and can be empty', () => {
  expect(multilineText(10).parse('a\r\n\tb')).toBe('a\r\n\tb');
  expect(multilineText(10).parse('')).toBe('');
  for (const text of ['a\u202eb', 'a\u0000b', 'a\u200bb'])
    expect(multilineText(10).safeParse(text).success).toBe(false);
});

it('multiline text is counted and returned in NFC', () => {
  expect(multilineText(2).parse('각각'.normalize('NFD'))).toBe('각각');
});

it('an upper-case id is converted to lower case', () => {
  expect(Id.parse('0190A5A0-0000-7000-8000-00000000000F')).toBe('0190a5a0-0000-7000-8000-00000000000f');
});
