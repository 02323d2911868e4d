import type { Body } from '@jogakbo/contract';
import { FindProducts } from '@jogakbo/contracts-catalog';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { inLanguage, type Product } from './product.ts';

type Sort = Body<typeof FindProducts>['sort'];
type Row = Product & { key: string };

/** So many products are looked at, the newest ones: what this costs is known, however many there are. */
const lookedAt = 10_000;
const mostWords = 10;

/** What a page is ordered by before the id. */
const keys: Record<Sort, string> = {
  relevance: `CASE WHEN starts_with(lower(name), $1) OR starts_with(names, $1) THEN 0 ELSE 1 END`,
  'price-asc': 'amount',
  'price-desc': '-amount',
  newest: '0',
};

/**
 * Parameters: the words together, each of them, category, least and highest price, key and id of the last item seen, number
 * of items. Ids are given out in the order of time.
 */
const sqlOf = (sort: Sort) => `
  SELECT *, product_id AS "productId", image_url AS "imageUrl" FROM (
    SELECT *, (${keys[sort]})::bigint AS key FROM (
      SELECT *, lower(concat_ws(' ', translations->'ko'->>'name', translations->'en'->>'name', name)) AS names
      FROM product WHERE removed_at IS NULL AND ($3::text IS NULL OR category = $3)
      ORDER BY product_id DESC LIMIT ${lookedAt}
    ) AS looked_at
    WHERE $1::text IS NOT NULL AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE strpos(names, word) = 0)
      AND amount BETWEEN $4::bigint AND $5::bigint
  ) AS found
  WHERE $7::uuid IS NULL OR key > $6::bigint OR (key = $6::bigint AND product_id < $7::uuid)
  ORDER BY key, product_id DESC LIMIT $8`;

/** Answers for search while it is away: by name alone, in both languages, without typos, stems and facets. */
@Controller()
export class FindProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(FindProducts)
  async find(query: Body<typeof FindProducts>, { language }: MessageContext) {
    const { q, category, minPrice = 0, maxPrice = Number.MAX_SAFE_INTEGER, sort, limit } = query;
    const words = q.toLowerCase().split(/\s+/).slice(0, mostWords);
    const [key, productId] = cursorOf(query) ?? [null, null];
    const found = await this.dataSource.query<Row[]>(sqlOf(sort), [
      ...[words.join(' '), words, category ?? null, minPrice, maxPrice, key, productId, limit + 1],
    ]);
    const rows = found.slice(0, limit);
    const last = rows.at(-1);
    return {
      items: rows.map((row) => ({
        ...inLanguage({ ...row, amount: Number(row.amount) }, language),
        score: 0,
      })),
      nextCursor: last && found.length > limit ? `${sort}.${last.key}.${last.productId}` : null,
      facets: { category: [], price: [] },
      degraded: true as const,
    };
  }
}

/** @throws Rejection for what is no cursor of this sort, such as one of search itself */
function cursorOf({ cursor, sort }: Body<typeof FindProducts>): [string, string] | undefined {
  if (cursor === undefined) return undefined;
  const [, of, key, id] =
    /^([a-z-]+)\.(-?\d{1,15})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(cursor) ?? [];
  if (of === sort) return [key!, id!];
  const message = 'is not a cursor of this search';
  throw FindProducts.reject('unknown-cursor', message, [{ path: 'cursor', message }]);
}
