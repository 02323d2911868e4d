import { toPage, type Body } from '@jogakbo/contract';
import { FindProducts } from '@jogakbo/contracts-catalog';
import { decodeCursor, encodeCursor } from '@jogakbo/contracts-search';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type Product, toPublicProduct } from './product.ts';

type Sort = Body<typeof FindProducts>['sort'];
type Row = Product & { key: string; compared: string };

/** Searches only the newest products, which bounds the cost of a query. */
const maxProducts = 10_000;
const maxWords = 10;

/** The sort key of a page; the id breaks ties. */
const keys: Record<Sort, { key: string; direction: 1 | -1 }> = {
  relevance: {
    key: `CASE WHEN starts_with(lower(name), $1) OR starts_with(names, $1) THEN 0 ELSE 1 END`,
    direction: 1,
  },
  'price-asc': { key: 'amount', direction: 1 },
  'price-desc': { key: 'amount', direction: -1 },
  newest: { key: '0', direction: 1 },
};

/**
 * Parameters: all words as one text, the words, category, lowest and highest price, key and id of the last item, number
 * of items, currency, whether to return only products in that currency. Prices are compared within one currency: the
 * requested one, or the most frequent one among the results. Ids rise with time.
 */
const buildSql = ({ key, direction }: (typeof keys)[Sort]) => `
  WITH fitting AS MATERIALIZED (
    SELECT * FROM (
      SELECT *, lower(concat_ws(' ', translations->'ko'->>'name', translations->'en'->>'name', name)) AS names
      FROM product WHERE removed_at IS NULL AND ($3::text IS NULL OR category = $3)
      ORDER BY product_id DESC LIMIT ${maxProducts}
    ) AS looked_at
    WHERE $1::text IS NOT NULL AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS word WHERE strpos(names, word) = 0)
  ), compared AS MATERIALIZED (
    SELECT coalesce($9::text, (
      SELECT currency::text FROM fitting GROUP BY currency ORDER BY count(*) DESC, currency LIMIT 1
    )) AS currency
  )
  SELECT *, product_id AS "productId", image_url AS "imageUrl" FROM (
    SELECT fitting.*, (${key})::bigint AS key, compared.currency AS compared FROM fitting, compared
    WHERE amount BETWEEN $4::bigint AND $5::bigint AND (NOT $10::boolean OR fitting.currency = compared.currency)
  ) AS found
  WHERE $7::uuid IS NULL OR ${direction} * key > ${direction} * $6::bigint OR (key = $6::bigint AND product_id < $7::uuid)
  ORDER BY ${direction} * key, product_id DESC LIMIT $8`;

/** The fallback while search is unavailable: by name only, in both languages, without typos, stems and facets. */
@Controller()
export class FindProductsHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(FindProducts)
  async find(query: Body<typeof FindProducts>, { language }: MessageContext) {
    const { q, category, minPrice, maxPrice, sort, limit } = query;
    const words = q.toLowerCase().split(/\s+/).slice(0, maxWords);
    const cursor = parseCursor(query);
    const after = cursor === 'restarted' ? undefined : cursor;
    const comparesPrices =
      query.currency !== undefined ||
      minPrice !== undefined ||
      maxPrice !== undefined ||
      sort.startsWith('price');
    const found = await this.dataSource.query<Row[]>(buildSql(keys[sort]), [
      ...[words.join(' '), words, category ?? null, minPrice ?? 0, maxPrice ?? Number.MAX_SAFE_INTEGER],
      ...[after?.key ?? null, after?.productId ?? null, limit + 1],
      ...[query.currency ?? after?.currency ?? null, comparesPrices],
    ]);
    const { items, nextCursor } = toPage(found, limit, (last) =>
      encodeCursor({
        by: 'catalog',
        sort,
        step: 0,
        currency: last.compared,
        key: Number(last.key),
        productId: last.productId,
      }),
    );
    const currency = items.at(-1)?.compared ?? query.currency ?? after?.currency ?? null;
    return {
      items: items.map((row) => ({
        ...toPublicProduct({ ...row, amount: Number(row.amount) }, language),
        score: 0,
      })),
      nextCursor,
      currency,
      facets: { category: [], currency: [], price: [] },
      degraded: true as const,
      ...(cursor === 'restarted' && { restarted: true as const }),
    };
  }
}

/** @throws Rejection `unknown-cursor` if the cursor does not belong to this sort and currency */
function parseCursor({ cursor, sort, currency }: Body<typeof FindProducts>) {
  if (cursor === undefined) return undefined;
  const decoded = decodeCursor(cursor, { by: 'catalog', sort, currency });
  if (decoded) return decoded;
  const message = 'is not a cursor of this search';
  throw FindProducts.reject('unknown-cursor', message, [{ path: 'cursor', message }]);
}
