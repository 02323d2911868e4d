/** Above the last bound lies one more range. */
export const priceBounds = [10_000, 30_000, 50_000, 100_000, 200_000];

/** Ranking more than this takes too long to wait for; words that so many products have tell them apart no better. */
export const mostMatches = 10_000;

/** `key` is what a page is ordered by before the id; both together go into the cursor. */
const orders = {
  relevance: {
    key: 'score',
    order: 'score DESC, product_id',
    after: 'score < $7 OR (score = $7 AND product_id > $8)',
  },
  'price-asc': {
    key: 'amount',
    order: 'amount, product_id',
    after: 'amount > $7 OR (amount = $7 AND product_id > $8)',
  },
  'price-desc': {
    key: 'amount',
    order: 'amount DESC, product_id',
    after: 'amount < $7 OR (amount = $7 AND product_id > $8)',
  },
  // Ids are given out in the order of time.
  newest: { key: '0', order: 'product_id DESC', after: 'product_id < $8' },
};
export type Sort = keyof typeof orders;

/**
 * One statement for a page and its facets. Parameters: matching and ranking tsquery, category, least and highest price,
 * number of items, key and id of the last item seen (null for the first page).
 */
export const searchSql = Object.fromEntries(
  Object.entries(orders).map(([sort, { key, order, after }]) => [
    sort,
    `WITH matching AS MATERIALIZED (
       SELECT product_id, category, amount,
              round(ts_rank('{0.05, 0.1, 0.4, 1}', terms, $2::tsquery) * 1000000)::int AS score
       FROM product_terms WHERE terms @@ $1::tsquery LIMIT ${mostMatches}
     ), page AS (
       SELECT product_id, score, ${key} AS key, row_number() OVER (ORDER BY ${order}) AS place FROM matching
       WHERE ($3::text IS NULL OR category = $3) AND amount BETWEEN $4::bigint AND $5::bigint
         AND ($8::uuid IS NULL OR ($7::bigint IS NOT NULL AND (${after})))
       ORDER BY ${order} LIMIT $6
     ), shown AS (
       SELECT place, key, score, available, version, sku, product_id, category, amount, currency, image_url, ko, en
       FROM page JOIN product USING (product_id) LEFT JOIN stock USING (product_id)
     )
     SELECT
       (SELECT count(*)::int FROM matching) AS found,
       (SELECT coalesce(json_agg(shown ORDER BY place), '[]') FROM shown) AS items,
       (SELECT coalesce(json_agg(json_build_object('value', category, 'count', count) ORDER BY count DESC, category), '[]')
        FROM (SELECT category, count(*) FROM matching WHERE amount BETWEEN $4 AND $5 GROUP BY category) AS counts
       ) AS categories,
       (SELECT coalesce(json_agg(json_build_object('range', range, 'count', count) ORDER BY range), '[]')
        FROM (SELECT width_bucket(amount, '{${priceBounds.join()}}'::bigint[]) AS range, count(*) FROM matching
              WHERE $3 IS NULL OR category = $3 GROUP BY range) AS counts
       ) AS prices`,
  ]),
) as Record<Sort, string>;

/** Names that begin so come first. PostgreSQL looks for the others only where these are not enough. */
const beginning = (language: 'ko' | 'en') => `
  (SELECT product_id, ${language} AS name FROM product_terms
   WHERE ${language} >= $1 AND ${language} < $1 || U&'\\+10FFFF' ORDER BY ${language}, product_id LIMIT $3)`;

/** Parameters: the strokes of the beginning, the typed tsquery, number of rows. */
export const suggestSql = `
  SELECT product_id AS "productId", ko->>'name' AS ko, en->>'name' AS en
  FROM (
    SELECT product_id, row_number() OVER () AS place FROM (
      SELECT product_id FROM (${beginning('ko')} UNION ALL ${beginning('en')}) AS begun
      UNION ALL
      (SELECT product_id FROM product_terms WHERE typed @@ $2::tsquery LIMIT $3)
    ) AS every LIMIT $3
  ) AS found JOIN product USING (product_id) ORDER BY place`;
