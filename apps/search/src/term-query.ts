import { isHangul, toKeystrokes } from './hangul.ts';
import { toSpanningTerm, toEndingTerm, toInnerTerm, toSkuTerm } from './terms.ts';
import { isAmbiguous, toPairs, findShortNoun, findStems } from './words.ts';

/** The possible corrections of each word that may be mistyped. */
export type Corrections = ReadonlyMap<string, string[]>;

/** A search in the form that PostgreSQL expects. */
export interface TermQuery {
  /** The tsqueries that find products: at most `most` matches for each. */
  matching: string[];
  most: number;
  /** Whole words and their stems: each match raises the rank. */
  exact: string;
  /** The same, plus prefixes and parts of words. */
  ranking: string;
}

const term = (text: string) => `'${text}'`;
const prefix = (text: string) => `'${text}':*`;
const prefixInName = (text: string) => `'${text}':*AB`;
const any = (terms: string[]) => `(${terms.join(' | ')})`;
const all = (terms: string[]) => `(${terms.join(' & ')})`;

/** More words do not improve the results. */
const maxWords = 8;

/** Ranking more matches takes too long, and words that so many products have do not improve the ranking. */
const maxMatches = 10_000;
/** If some of the words are enough, a common one must not hide a rare one. */
const maxMatchesPerQuery = 500;

/**
 * Builds the tsqueries of some words, for the terms of `extractTerms`. The last word may be incomplete.
 * @param words from `splitWords`, at least one
 * @param need whether all of them must match, or some are enough: all but one, or a single one
 * @param skus forms of a SKU (`buildSkuForms`), one of which is enough
 * @param nouns whether a word may be a noun of one syllable with a particle; such endings are often part of the noun
 */
export function buildTermQuery(
  words: string[],
  need: 'all' | 'some',
  corrections: Corrections = new Map(),
  { skus = [], nouns = false }: { skus?: string[]; nouns?: boolean } = {},
): TermQuery {
  const asked = words.slice(0, maxWords);
  const choices = asked.map((word, at) => [
    ...buildForms(word, at === asked.length - 1),
    ...(nouns ? buildNounForms(word) : []),
    ...(corrections.get(word) ?? []).flatMap((correct) => buildForms(correct, false)),
    ...(need === 'some' ? splitIntoHalves(word).flatMap((half) => buildForms(half, false)) : []),
  ]);
  // Two words in the search, one in the product: tea cup, Teacup.
  const together =
    asked.length > 1 && asked.length < 4 && !asked.some(isHangul) ? buildForms(asked.join(''), false) : [];
  const fits = choices.map((forms) => any(removeRedundantForms(forms)));
  const allButOne =
    fits.length > 2 ? fits.map((_, omitted) => all(fits.filter((_, at) => at !== omitted))) : [];
  const forms = [...choices.flat(), ...together, ...skus];
  return {
    ...(need === 'all'
      ? { matching: [any([all(fits), ...together, ...skus])], most: maxMatches }
      : { matching: [...allButOne, ...fits, ...together, ...skus], most: maxMatchesPerQuery }),
    exact: joinTerms(forms.filter((form) => /^'(#[\w.-]+|[\p{L}\p{N}]+)'$/u.test(form))),
    ranking: joinTerms(forms),
  };
}

/** Removes forms that a shorter prefix also finds: each costs another index scan. */
const removeRedundantForms = (forms: string[]): string[] => {
  const prefixes = forms.filter((form) => /^'[^']+':\*$/.test(form)).map((form) => form.slice(1, -3));
  return forms.filter((form, at) => {
    const [, text, open] = /^'([^']+)'(:\*)?$/.exec(form) ?? [];
    return (
      forms.indexOf(form) === at &&
      !(text && prefixes.some((start) => text.startsWith(start) && !(open && text === start)))
    );
  });
};

/** Joins the distinct terms with "or": products that match several rank above those that match one. */
const joinTerms = (forms: string[]): string =>
  [...new Set(forms.flatMap((form) => form.match(/'[^']+'(:\*(AB)?)?/g) ?? []))].join(' | ');

/** A long Korean word is often a compound: 나전칠기 is 칠기 (lacquerware) with 나전 (mother-of-pearl). */
function splitIntoHalves(word: string): string[] {
  const [stem = word] = findStems(word).slice(-1);
  return isHangul(stem) && stem.length > 3 ? [stem.slice(0, 2), stem.slice(-2)] : [];
}

function buildForms(word: string, isLast: boolean): string[] {
  const stems = findStems(word);
  const exact = [word, ...stems].map(term);
  if (!isHangul(word)) return isLast && word.length > 1 ? [...exact, prefix(word)] : exact;
  const openForms = [
    ...(isLast || word.length > 1 ? [word] : []),
    ...stems.filter(({ length }) => length > 1),
  ];
  // A text that contains the word also contains its shortest stem.
  const shortest = stems.at(-1) ?? word;
  const parts = shortest.length > 1 ? [shortest] : [word, ...stems];
  // 차 and 차가 must not find 차가운 in a description.
  const isShort = (text: string) => text.length === 1 || isAmbiguous(text);
  const begins = openForms.map((text) => (isShort(text) ? prefixInName(text) : prefix(text)));
  return [...exact, ...begins, ...parts.map(getPart)];
}

function buildNounForms(word: string): string[] {
  const noun = findShortNoun(word);
  return noun ? [term(noun), getPart(noun)] : [];
}

/**
 * Builds the terms that find a product by its SKU or a prefix of it.
 * @param text the whole search text
 * @param lenient whether letters alone count as a prefix: they are more often a word
 */
export function buildSkuForms(text: string, lenient: boolean): string[] {
  const typed = text.normalize('NFKC').trim();
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(typed)) return [];
  const sku = toSkuTerm(typed);
  return [term(sku), ...(lenient || /[\d._-]/.test(typed) ? [prefix(sku)] : [])];
}

function getPart(word: string): string {
  if (word.length === 1) return term(toEndingTerm(word));
  if (word.length === 2) return term(toInnerTerm(word));
  return all(toPairs(word).map((pair) => any([term(toInnerTerm(pair)), term(toSpanningTerm(pair))])));
}

/** Builds the tsquery of the text typed so far, for the keystrokes of names: every word may be incomplete. */
export function buildTypedQuery(words: string[], corrections: Corrections = new Map()): string {
  const choices = words
    .slice(0, maxWords)
    .map((word) => any([word, ...(corrections.get(word) ?? [])].map((one) => prefix(toKeystrokes(one)))));
  return all(choices);
}
