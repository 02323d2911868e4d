import type { DataSource } from 'typeorm';
import type { Corrections } from './term-query.ts';
import { isCorrectable, isOneTypoApart, findNearWords } from './words.ts';

/** Finds, for each word that no product has, the indexed words that are one typo away. */
export async function findCorrections(dataSource: DataSource, words: string[]): Promise<Corrections> {
  const asked = words.filter(isCorrectable);
  if (asked.length === 0) return new Map();
  const near = (await dataSource.query('SELECT word FROM vocabulary WHERE near && $1::text[] ORDER BY word', [
    [...new Set(asked.flatMap(findNearWords))],
  ])) as { word: string }[];
  const known = near.map(({ word }) => word);
  return new Map(
    asked
      .filter((word) => !known.includes(word))
      .map((word) => [word, known.filter((other) => isOneTypoApart(word, other)).slice(0, 8)] as const)
      .filter(([, correct]) => correct.length > 0),
  );
}
