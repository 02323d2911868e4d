import type { Body } from '@jogakbo/contract';
import type { ProductAdded } from '@jogakbo/contracts-catalog';
import { isHangul, toKeystrokes } from './hangul.ts';
import { isAmbiguous, isCorrectable, toPairs, findStems, splitWords } from './words.ts';

// Besides words and stems, there are terms for parts of Korean names, which are written with or without spaces.
/** Two neighbouring syllables of one word. */
export const toInnerTerm = (pair: string): string => `~${pair}`;
/** Two syllables on both sides of a space: 찻잔 받침 has +잔받, so that 찻잔받침 finds it. */
export const toSpanningTerm = (pair: string): string => `+${pair}`;
/** The last syllable, which names the kind of product in 녹차 and 국화차. */
export const toEndingTerm = (syllable: string): string => `-${syllable}`;

/** The whole SKU, besides the words in it. */
export const toSkuTerm = (sku: string): string => `#${sku.toLowerCase()}`;

/** PostgreSQL's tsvector weights: A is a word of the name, D the stem of a word of the description. */
type Weight = 'A' | 'B' | 'C' | 'D';

/** The search terms of a product. */
export interface Terms {
  /** A tsvector of words, stems and parts, for whole words. */
  terms: string;
  /** A tsvector of the keystrokes of each word of the names, for suggestions. */
  typed: string;
  /** The keystrokes of the whole names. */
  ko: string;
  en: string;
  /** The candidates for typo corrections. */
  vocabulary: string[];
}

type ProductState = Body<typeof ProductAdded>;

/** Chooses the texts of a response; Korean if the client prefers neither language. */
export const toTextLanguage = (language: string): 'ko' | 'en' => (language === 'en' ? 'en' : 'ko');

/** The texts of a product in one language; the original text if there is no translation. */
export const getText = ({ translations, name, description }: ProductState, language: 'ko' | 'en') =>
  translations[language] ?? { name, description };

/** Extracts the search terms from all texts of a product. Pure: the same product gives the same terms. */
export function extractTerms(product: ProductState): Terms {
  const texts = [product, getText(product, 'ko'), getText(product, 'en')];
  const names = [...new Set(texts.map(({ name }) => name))].map(splitWords);
  const described = [...new Set(texts.map(({ description }) => description))].flatMap(splitWords);
  const weights = new Map<string, Weight>();
  const add = (weight: Weight, terms: string[]) => {
    for (const term of terms) if (weight < (weights.get(term) ?? 'E')) weights.set(term, weight);
  };
  add('A', [toSkuTerm(product.sku)]);
  for (const name of names) {
    add('A', name);
    add('B', name.flatMap(findStems));
    add('B', splitIntoParts(name));
  }
  const category = splitWords(product.category);
  add('B', [...category, ...category.flatMap(findStems)]);
  add('C', described);
  // Longer Korean stems are found as prefixes of their words, except for ambiguous ones.
  add(
    'D',
    described.flatMap(findStems).filter((stem) => !isHangul(stem) || stem.length === 1 || isAmbiguous(stem)),
  );

  const known = [...names.flat(), ...category, ...described];
  return {
    terms: [...weights].map(([term, weight]) => `'${term}':1${weight}`).join(' '),
    typed: [...new Set(names.flat())].map((word) => `'${toKeystrokes(word)}'`).join(' '),
    ko: toNameKeystrokes(splitWords(getText(product, 'ko').name)),
    en: toNameKeystrokes(splitWords(getText(product, 'en').name)),
    vocabulary: [...new Set([...known, ...known.filter(isHangul).flatMap(findStems)])]
      .filter(isCorrectable)
      .sort(),
  };
}

/** The keystrokes of several words, truncated to the size limit of the index. */
export const toNameKeystrokes = (words: string[]): string => toKeystrokes(words.join(' ')).slice(0, 120);

function splitIntoParts(name: string[]): string[] {
  return name.flatMap((word, at) => {
    const next = name[at + 1];
    if (!isHangul(word)) return next && !isHangul(next) ? [word + next] : [];
    return [
      ...toPairs(word).map(toInnerTerm),
      toEndingTerm(word.at(-1)!),
      ...(next && isHangul(next) ? [toSpanningTerm(word.at(-1)! + next[0]!)] : []),
    ];
  });
}
