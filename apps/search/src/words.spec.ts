import { describe, expect, it } from '@jest/globals';
import { toKeystrokes } from './hangul.ts';
import {
  isCorrectable,
  isOneTypoApart,
  findNearWords,
  toPairs,
  findShortNoun,
  findStems,
  splitWords,
} from './words.ts';

describe('splitWords', () => {
  it.each([
    ['  Indigo  Cotton, BOJAGI! ', ['indigo', 'cotton', 'bojagi']],
    ["A monk's bowl of the Cloisonné", ['monk', 'bowl', 'cloisonne']],
    ['30cm쟁반과 tea잔', ['30cm', '쟁반과', 'tea', '잔']],
    ['of the', ['of', 'the']],
    ['ＡＢＣ 조각보', ['abc', '조각보']],
    ['조각\u1107\u1169', ['조각보']],
    ['조각ㅂ', ['조각ㅂ']],
    ["!? ' \u0000", []],
    ['Straße STRAẞE', ['strasse', 'strasse']],
    ['Smørrebrød Łódź Ærø', ['smorrebrod', 'lodz', 'aero']],
    ['Đà Nẵng œuvre Þór', ['da', 'nang', 'oeuvre', 'thor']],
  ])('%j', (text, words) => expect(splitWords(text)).toEqual(words));

  it('truncates words that do not fit into the index', () => {
    expect(splitWords('가'.repeat(2000))[0]).toHaveLength(40);
  });
});

describe('findStems', () => {
  it.each([
    ['조각보를', ['조각보']],
    ['찻잔은', ['찻잔']],
    ['찻잔에서는', ['찻잔에서', '찻잔']],
    ['소반입니다', ['소반']],
    ['놋그릇으로', ['놋그릇']],
    ['차를', ['차']],
    ['보자기와', ['보자기']],
    ['cups', ['cup']],
    ['boxes', ['box']],
  ])('%s is a form of %j', (word, stems) => expect(findStems(word)).toEqual(stems));

  it.each(['보자기', '모시', '찻잔', '종이', '약과', '가을', '화로', '포도', '조각보', 'cup', '30cm'])(
    '%s has no stem',
    (word) => expect(findStems(word)).toEqual([]),
  );
});

describe('findShortNoun', () => {
  it.each([
    ['붓이', '붓'],
    ['떡과', '떡'],
    ['꿀이', '꿀'],
    ['차가', '차'],
    ['떡과는', '떡'],
    ['붓이나', '붓'],
    ['꿀까지', '꿀'],
    ['종이', '종'], // also the word for paper, so this is not a stem
    ['차를', undefined], // a stem
    ['찻잔이', undefined],
    ['모시', undefined],
    ['떡', undefined],
    ['cup', undefined],
  ])('%s: %s', (word, noun) => expect(findShortNoun(word)).toBe(noun));
});

describe('toKeystrokes', () => {
  it('is a prefix of the word at every keystroke', () => {
    for (const typed of ['ㅈ', '조', '족', '조가', '조각', '조각ㅂ', '조각보']) {
      expect(toKeystrokes('조각보').startsWith(toKeystrokes(typed))).toBe(true);
    }
    for (const typed of ['삭', '사고', '사과'])
      expect(toKeystrokes('사과').startsWith(toKeystrokes(typed))).toBe(true);
    expect(toKeystrokes('사과').startsWith(toKeystrokes('새'))).toBe(false);
    expect(toKeystrokes('닭')).toBe('ㄷㅏㄹㄱ');
    expect(toKeystrokes('bowl')).toBe('bowl');
  });
});

describe('toPairs', () => {
  it.each([
    ['조각보', ['조각', '각보']],
    ['모시', ['모시']],
    ['차', []],
    ['', []],
  ])('%s', (word, pairs) => expect(toPairs(word)).toEqual(pairs));
});

describe('typos', () => {
  const apart: [string, string, boolean][] = [
    ['patchwrok', 'patchwork', true],
    ['pachwork', 'patchwork', true],
    ['pattchwork', 'patchwork', true],
    ['patchwark', 'patchwork', true],
    ['atchwork', 'patchwork', true],
    ['patchworks', 'patchwork', true],
    ['조각부', '조각보', true],
    ['patchwork', 'patchwork', false],
    ['patchrowk', 'patchwork', false],
    ['ptchwrk', 'patchwork', false],
    ['bowl', 'owls', false],
  ];
  it.each(apart)('%s and %s', (one, other, oneApart) => {
    expect(isOneTypoApart(one, other)).toBe(oneApart);
    expect(isOneTypoApart(other, one)).toBe(oneApart);
    // Words one typo apart must share an entry.
    if (oneApart) expect(findNearWords(one).some((near) => findNearWords(other).includes(near))).toBe(true);
  });

  it.each([
    ['silk', true],
    ['cup', false],
    ['조각보', true],
    ['찻잔', false],
    ['30cm', false],
  ])('%s can be corrected: %s', (word, can) => expect(isCorrectable(word)).toBe(can));
});
