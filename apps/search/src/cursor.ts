import { z } from 'zod';

/**
 * Where a page ended. `step` is how far the search had to go to find anything: the pages after look no further and no
 * less far, or they would show other products.
 */
const Cursor = z.strictObject({
  sort: z.string(),
  step: z.int().min(0).max(2),
  key: z.int().nonnegative(),
  productId: z.uuid(),
});
export type Cursor = z.infer<typeof Cursor>;

export const encodeCursor = ({ sort, step, key, productId }: Cursor): string =>
  Buffer.from(JSON.stringify([sort, step, key, productId])).toString('base64url');

/** @returns undefined where the text is no cursor of a search with this sort */
export function decodeCursor(text: string, sort: string): Cursor | undefined {
  try {
    const [itsSort, step, key, productId] = JSON.parse(
      Buffer.from(text, 'base64url').toString(),
    ) as unknown[];
    const { data } = Cursor.safeParse({ sort: itsSort, step, key, productId });
    return data?.sort === sort ? data : undefined;
  } catch {
    return undefined;
  }
}
