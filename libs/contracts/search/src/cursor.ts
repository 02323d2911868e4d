import { z } from 'zod';

const SearchCursor = z.strictObject({
  /** Who gave it. */
  by: z.enum(['search', 'catalog']),
  sort: z.string(),
  /** How far search had to go to find anything: the pages after look no further and no less far. */
  step: z.coerce.number().int().min(0).max(2),
  /** In which prices are compared. */
  currency: z.string(),
  /** What the last item is ordered by before its id: its price where the order is by price. */
  key: z.coerce.number().int().nonnegative(),
  productId: z.uuid(),
});

/** Where a page of products ended, written in one way by search and by the catalog, which stands in for it. */
export type SearchCursor = z.infer<typeof SearchCursor>;

/** The cursor as a text of a URL. */
export const encodeCursor = ({ by, sort, step, currency, key, productId }: SearchCursor): string =>
  [by, sort, step, currency, key, productId].join('.');

/**
 * Reads a cursor for one of those who answer a search.
 * @param by who reads it
 * @returns undefined where the text is no cursor of this sort and currency; `restarted` where the other one gave it, and
 *   ranks in another way; without `step` where the other one gave it, and it can be continued
 */
export function decodeCursor(
  text: string,
  wanted: { by: SearchCursor['by']; sort: string; currency?: string | undefined },
): (Omit<SearchCursor, 'step'> & { step?: number }) | 'restarted' | undefined {
  const [by, sort, step, currency, key, productId, ...rest] = text.split('.');
  if (rest.length > 0) return undefined;
  const { data } = SearchCursor.safeParse({ by, sort, step, currency, key, productId });
  if (!data || data.sort !== wanted.sort || (wanted.currency && data.currency !== wanted.currency))
    return undefined;
  if (data.by === wanted.by) return data;
  if (data.sort === 'relevance') return 'restarted';
  const { step: _, ...place } = data;
  return place;
}
