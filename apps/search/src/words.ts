import { stemmer } from 'stemmer';
import { getFinalConsonant, isHangul, toKeystrokes } from './hangul.ts';

/** Longer words do not fit into the index. */
const maxWordLength = 40;

const stopWords = new Set('a an and as at by for from in is it its of on or that the to with'.split(' '));

/** Letters that Unicode does not decompose, as they are typed on a keyboard without them. */
const folded: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
  ŋ: 'n',
  ŧ: 't',
  ɓ: 'b',
  ɗ: 'd',
  ƒ: 'f',
  ɨ: 'i',
  ƙ: 'k',
};

/**
 * Splits a text into words, in lower case and without accents. Korean is split from other scripts (30cm쟁반: 30cm, 쟁반).
 * English stop words are removed, unless there is nothing else.
 */
export function splitWords(text: string): string[] {
  const plain = text
    // Single Korean letters stay unchanged: NFKD would convert them to other code points.
    .replace(/[^ㄱ-ㅣ]+/g, (run) =>
      run
        .normalize('NFKD')
        .replace(/[\u0300-\u036f]/g, '')
        .normalize('NFC'),
    )
    .toLowerCase()
    .replace(/[^\p{ASCII}가-힣]/gu, (letter) => folded[letter] ?? letter)
    .replace(/['’](s(?![\p{L}\p{N}]))?/gu, '');
  const all = plain.match(/[가-힣ㄱ-ㅣ]+|(?:(?![가-힣ㄱ-ㅣ])[\p{L}\p{N}])+/gu) ?? [];
  const contentWords = all.filter((word) => !stopWords.has(word));
  return (contentWords.length > 0 ? contentWords : all).map((word) => word.slice(0, maxWordLength));
}

type After = 'consonant' | 'vowel' | 'vowel or ㄹ' | 'anything';

/** Particles and forms of "to be". `short`: rarely the end of a noun, so the rest of the word may be one syllable. */
const particles: { text: string; after: After; short: boolean }[] = (
  [
    ['consonant', true, '은 을 으로'],
    ['consonant', false, '이 과 이나 이랑 이라 으로도 으로는 이에요 이라는'],
    ['vowel', true, '는 를 와'],
    ['vowel', false, '가 나 랑 예요 라는'],
    ['vowel or ㄹ', false, '로'],
    ['anything', true, '에 에서 에는 에도 에게 입니다'],
    ['anything', false, '의 도 만 까지 부터 처럼 보다 마다 조차 밖에 하고 한테 이다 인데'],
  ] as const
)
  .flatMap(([after, short, texts]) => texts.split(' ').map((text) => ({ text, after, short })))
  .sort((a, b) => b.text.length - a.text.length);

const canFollow = (stem: string, after: After): boolean => {
  const final = getFinalConsonant(stem);
  if (after === 'consonant') return final !== '';
  if (after === 'vowel') return final === '';
  return after === 'anything' || final === '' || final === 'ㄹ';
};

/** Removes the longest matching particle: 으로, not 로. @param minSyllables to keep, unless it is `short` */
function removeParticle(word: string, minSyllables: number): string[] {
  const found = particles.find(({ text, after, short }) => {
    const stem = word.slice(0, -text.length);
    return word.endsWith(text) && stem.length >= (short ? 1 : minSyllables) && canFollow(stem, after);
  });
  return found ? [word.slice(0, -found.text.length)] : [];
}

/**
 * Finds the stems of a word: Korean without particles (찻잔에서는: 찻잔에서, 찻잔), English without the ending (cups: cup).
 * Never the word itself.
 */
export function findStems(word: string): string[] {
  if (!isHangul(word)) {
    const stem = /^[a-z]{3,}$/.test(word) ? stemmer(word) : word;
    return stem === word ? [] : [stem];
  }
  const once = removeParticle(word, 2);
  return [...once, ...once.flatMap((stem) => removeParticle(stem, 2))];
}

/**
 * Finds the noun of one syllable in a word with a particle: 붓이 gives 붓. Many words only look like that (종이 is paper,
 * not a form of 종), so use it only for searches that find nothing otherwise.
 */
export function findShortNoun(word: string): string | undefined {
  if (!isHangul(word)) return undefined;
  const stems = findStems(word);
  return [word, ...stems]
    .flatMap((form) => removeParticle(form, 1))
    .find((noun) => noun.length === 1 && !stems.includes(noun));
}

/** Whether two syllables can be a noun with a particle, a longer noun, or the start of a longer word (차가운). */
export const isAmbiguous = (word: string): boolean => word.length === 2 && findShortNoun(word) !== undefined;

/** Pairs of neighbouring characters: 조각보 gives 조각, 각보. */
export const toPairs = (text: string): string[] =>
  Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => text.slice(at, at + 2));

/** Whether typos in a word can be corrected. Shorter words have too many neighbours one keystroke away. */
export const isCorrectable = (word: string): boolean =>
  isHangul(word) ? word.length >= 3 : /^[a-z]{4,}$/.test(word);

/** Returns the keystrokes of a word, complete and with each one deleted. Words one typo apart share one of these. */
export function findNearWords(word: string): string[] {
  const typed = toKeystrokes(word);
  return [...new Set([typed, ...Array.from(typed, (_, at) => typed.slice(0, at) + typed.slice(at + 1))])];
}

/** Whether two words differ by one deleted, added, replaced or swapped keystroke. */
export function isOneTypoApart(one: string, other: string): boolean {
  const [a, b] = [toKeystrokes(one), toKeystrokes(other)];
  if (a === b) return false;
  let from = 0;
  while (from < a.length && a[from] === b[from]) from++;
  const [restA, restB] = [a.slice(from), b.slice(from)];
  return (
    restA.slice(1) === restB ||
    restA === restB.slice(1) ||
    restA.slice(1) === restB.slice(1) ||
    (restA.slice(2) === restB.slice(2) && restA[0] === restB[1] && restA[1] === restB[0])
  );
}
