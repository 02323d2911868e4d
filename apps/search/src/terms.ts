import type { Body } from '@jogakbo/contract';
import type { ProductAdded } from '@jogakbo/contracts-catalog';
import { isHangul, letters } from './hangul.ts';
import { isAmbiguous, isCorrectable, toPairs, findStems, splitWords } from './words.ts';

// Besides words and their stems, terms stand for parts of Korean names, which are written together as often as apart.
/** Two neighbouring syllables of one word. */
export const inside = (pair: string): string => `~${pair}`;
/** Two syllables on both sides of a space: 찻잔 받침 has +잔받, so that 찻잔받침 finds it. */
export const across = (pair: string): string => `+${pair}`;
/** The last syllable: what the thing is, in 녹차 and 국화차. */
export const ending = (syllable: string): string => `-${syllable}`;

/** A SKU as a whole, beside the words that it falls into. */
export const skuTerm = (sku: string): string => `#${sku.toLowerCase()}`;

/** How much a term tells, as PostgreSQL names it: A is a word of the name, D the stem of a word of the description. */
type Weight = 'A' | 'B' | 'C' | 'D';

/** What a product is found by. */
export interface Terms {
  /** A tsvector of words, stems and parts, for whole words. */
  terms: string;
  /** A tsvector of the strokes of each word of the names, for what is being typed. */
  typed: string;
  /** The strokes of the whole names, from their beginning. */
  ko: string;
  en: string;
  /** The words that typos are corrected to. */
  vocabulary: string[];
}

type ProductState = Body<typeof ProductAdded>;

/** The texts of a product in one language; where there is no translation, as the merchant wrote it. */
export const textIn = ({ translations, name, description }: ProductState, language: 'ko' | 'en') =>
  translations[language] ?? { name, description };

/** All texts of a product in a form that can be searched. Pure: the same product gives the same terms. */
export function extractTerms(product: ProductState): Terms {
  const texts = [product, textIn(product, 'ko'), textIn(product, 'en')];
  const names = [...new Set(texts.map(({ name }) => name))].map(splitWords);
  const described = [...new Set(texts.map(({ description }) => description))].flatMap(splitWords);
  const weights = new Map<string, Weight>();
  const add = (weight: Weight, terms: string[]) => {
    for (const term of terms) if (weight < (weights.get(term) ?? 'E')) weights.set(term, weight);
  };
  add('A', [skuTerm(product.sku)]);
  for (const name of names) {
    add('A', name);
    add('B', name.flatMap(findStems));
    add('B', splitIntoParts(name));
  }
  const category = splitWords(product.category);
  add('B', [...category, ...category.flatMap(findStems)]);
  add('C', described);
  // Longer Korean stems are beginnings of their words, which is how they are looked for, except for ambiguous ones.
  add(
    'D',
    described.flatMap(findStems).filter((stem) => !isHangul(stem) || stem.length === 1 || isAmbiguous(stem)),
  );

  const known = [...names.flat(), ...category, ...described];
  return {
    terms: [...weights].map(([term, weight]) => `'${term}':1${weight}`).join(' '),
    typed: [...new Set(names.flat())].map((word) => `'${letters(word)}'`).join(' '),
    ko: typedName(splitWords(textIn(product, 'ko').name)),
    en: typedName(splitWords(textIn(product, 'en').name)),
    vocabulary: [...new Set([...known, ...known.filter(isHangul).flatMap(findStems)])]
      .filter(isCorrectable)
      .sort(),
  };
}

/** The strokes of several words, cut to what an index takes and a shopper types. */
export const typedName = (words: string[]): string => letters(words.join(' ')).slice(0, 120);

function splitIntoParts(name: string[]): string[] {
  return name.flatMap((word, at) => {
    const next = name[at + 1];
    if (!isHangul(word)) return next && !isHangul(next) ? [word + next] : [];
    return [
      ...toPairs(word).map(inside),
      ending(word.at(-1)!),
      ...(next && isHangul(next) ? [across(word.at(-1)! + next[0]!)] : []),
    ];
  });
}
