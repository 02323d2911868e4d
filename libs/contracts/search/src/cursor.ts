import { z } from 'zod';

const SearchCursor = z.strictObject({
  /** The service that created it. */
  by: z.enum(['search', 'catalog']),
  sort: z.string(),
  /** How far search widened the query to find anything; following pages use the same step. */
  step: z.coerce.number().int().min(0).max(2),
  /** The currency in which prices are compared. */
  currency: z.string(),
  /** The sort key of the last item, before its id: its price if sorted by price. */
  key: z.coerce.number().int().nonnegative(),
  productId: z.uuid(),
});

/** The end of a page of products, in the common format of search and its fallback, the catalog. */
export type SearchCursor = z.infer<typeof SearchCursor>;

/** Encodes a cursor for use in a URL. */
export const encodeCursor = ({ by, sort, step, currency, key, productId }: SearchCursor): string =>
  [by, sort, step, currency, key, productId].join('.');

/**
 * Decodes a cursor for search or for the catalog.
 * @param wanted.by the service that decodes it
 * @returns undefined if the text is no cursor of this sort and currency; `restarted` if the other service created it and
 *   ranks differently; without `step` if the other service created it and it can be continued
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
