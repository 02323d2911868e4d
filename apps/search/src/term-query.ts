import { isHangul, letters } from './hangul.ts';
import { across, ending, inside, skuTerm } from './terms.ts';
import { isAmbiguous, toPairs, findShortNoun, findStems } from './words.ts';

/** For each word that is perhaps mistyped, the words it may stand for. */
export type Corrections = ReadonlyMap<string, string[]>;

/** A search as PostgreSQL takes it. */
export interface TermQuery {
  /** What finds a product: each of these, at most `most` times. */
  matching: string[];
  most: number;
  /** Whole words and their stems, each of which makes it fit better. */
  exact: string;
  /** The same, and beginnings and parts of words. */
  ranking: string;
}

const term = (text: string) => `'${text}'`;
const beginning = (text: string) => `'${text}':*`;
const beginningInName = (text: string) => `'${text}':*AB`;
const any = (terms: string[]) => `(${terms.join(' | ')})`;
const all = (terms: string[]) => `(${terms.join(' & ')})`;

/** More words than this make nothing clearer. */
const mostWords = 8;

/** Ranking more than this takes too long to wait for; words that so many products have tell them apart no better. */
const mostMatches = 10_000;
/** Where some of the words are enough, a common one must not drown a rare one. */
const mostOfEach = 500;

/**
 * The tsqueries of some words, for the terms of `extractTerms`. The last word may be unfinished.
 * @param words as `splitWords` gives them, at least one
 * @param need whether all of them must fit, or some are enough: all but one, or a single one
 * @param skus forms of a SKU (`skuForms`), one of which is enough
 * @param nouns whether a word may be a noun of one syllable with a particle that is as often the end of a noun
 */
export function termQuery(
  words: string[],
  need: 'all' | 'some',
  corrections: Corrections = new Map(),
  { skus = [], nouns = false }: { skus?: string[]; nouns?: boolean } = {},
): TermQuery {
  const asked = words.slice(0, mostWords);
  const choices = asked.map((word, at) => [
    ...buildForms(word, at === asked.length - 1),
    ...(nouns ? nounForms(word) : []),
    ...(corrections.get(word) ?? []).flatMap((correct) => buildForms(correct, false)),
    ...(need === 'some' ? splitIntoHalves(word).flatMap((half) => buildForms(half, false)) : []),
  ]);
  // Written apart by the shopper, together by the merchant: tea cup, Teacup.
  const together =
    asked.length > 1 && asked.length < 4 && !asked.some(isHangul) ? buildForms(asked.join(''), false) : [];
  const fits = choices.map((forms) => any(needed(forms)));
  const allButOne = fits.length > 2 ? fits.map((_, left) => all(fits.filter((_, at) => at !== left))) : [];
  const forms = [...choices.flat(), ...together, ...skus];
  return {
    ...(need === 'all'
      ? { matching: [any([all(fits), ...together, ...skus])], most: mostMatches }
      : { matching: [...allButOne, ...fits, ...together, ...skus], most: mostOfEach }),
    exact: flat(forms.filter((form) => /^'(#[\w.-]+|[\p{L}\p{N}]+)'$/u.test(form))),
    ranking: flat(forms),
  };
}

/** Forms without those that a shorter beginning finds as well: looking for these again takes as long as finding them. */
const needed = (forms: string[]): string[] => {
  const begins = forms.filter((form) => /^'[^']+':\*$/.test(form)).map((form) => form.slice(1, -3));
  return forms.filter((form, at) => {
    const [, text, open] = /^'([^']+)'(:\*)?$/.exec(form) ?? [];
    return (
      forms.indexOf(form) === at &&
      !(text && begins.some((begin) => text.startsWith(begin) && !(open && text === begin)))
    );
  });
};

/** Each term once, without what holds them together: what fits several comes before what fits one. */
const flat = (forms: string[]): string =>
  [...new Set(forms.flatMap((form) => form.match(/'[^']+'(:\*(AB)?)?/g) ?? []))].join(' | ');

/** A long Korean word is often two: 나전칠기 is 칠기, lacquerware, with 나전, mother-of-pearl. */
function splitIntoHalves(word: string): string[] {
  const [stem = word] = findStems(word).slice(-1);
  return isHangul(stem) && stem.length > 3 ? [stem.slice(0, 2), stem.slice(-2)] : [];
}

function buildForms(word: string, isLast: boolean): string[] {
  const stems = findStems(word);
  const exact = [word, ...stems].map(term);
  if (!isHangul(word)) return isLast && word.length > 1 ? [...exact, beginning(word)] : exact;
  const begun = [...(isLast || word.length > 1 ? [word] : []), ...stems.filter(({ length }) => length > 1)];
  // Whatever has the word in it has also what is left of it without particles.
  const shortest = stems.at(-1) ?? word;
  const parts = shortest.length > 1 ? [shortest] : [word, ...stems];
  // 차 and 차가 are not to find what is described as 차가운.
  const isShort = (text: string) => text.length === 1 || isAmbiguous(text);
  const begins = begun.map((text) => (isShort(text) ? beginningInName(text) : beginning(text)));
  return [...exact, ...begins, ...parts.map(getPart)];
}

function nounForms(word: string): string[] {
  const noun = findShortNoun(word);
  return noun ? [term(noun), getPart(noun)] : [];
}

/**
 * What finds a product by a SKU, or its beginning.
 * @param text what was typed, as a whole
 * @param lenient whether letters alone are a beginning: they are more often a word
 */
export function skuForms(text: string, lenient: boolean): string[] {
  const typed = text.normalize('NFKC').trim();
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(typed)) return [];
  const sku = skuTerm(typed);
  return [term(sku), ...(lenient || /[\d._-]/.test(typed) ? [beginning(sku)] : [])];
}

function getPart(word: string): string {
  if (word.length === 1) return term(ending(word));
  if (word.length === 2) return term(inside(word));
  return all(toPairs(word).map((pair) => any([term(inside(pair)), term(across(pair))])));
}

/** The tsquery of what was typed so far, for the strokes of names: every word may be unfinished. */
export function typedQuery(words: string[], corrections: Corrections = new Map()): string {
  const choices = words
    .slice(0, mostWords)
    .map((word) => any([word, ...(corrections.get(word) ?? [])].map((one) => beginning(letters(one)))));
  return all(choices);
}
