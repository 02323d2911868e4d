/** Above the last bound lies one more range. */
export const priceBounds = [10_000, 30_000, 50_000, 100_000, 200_000];

/** Of terms with weight D, C, B and A. */
const weights = '{0.05, 0.1, 0.4, 1}';

/** `key` is what a page is ordered by before the id; both together go into the cursor. */
const orders = {
  relevance: {
    key: 'score',
    order: 'score DESC, product_id',
    after: 'score < $8 OR (score = $8 AND product_id > $9)',
  },
  'price-asc': {
    key: 'amount',
    order: 'amount, product_id',
    after: 'amount > $8 OR (amount = $8 AND product_id > $9)',
  },
  'price-desc': {
    key: 'amount',
    order: 'amount DESC, product_id',
    after: 'amount < $8 OR (amount = $8 AND product_id > $9)',
  },
  // Ids are given out in the order of time.
  newest: { key: '0', order: 'product_id DESC', after: 'product_id < $9' },
};
export type Sort = keyof typeof orders;

/**
 * One statement for a page and its facets. Parameters: what finds a product as tsqueries, what fits exactly and what fits
 * at all as tsquery, category, least and highest price, number of items, key and id of the last item seen (null for the
 * first page), how many of each of the tsqueries.
 */
export const searchSql = Object.fromEntries(
  Object.entries(orders).map(([sort, { key, order, after }]) => [
    sort,
    `WITH matching AS MATERIALIZED (
       SELECT DISTINCT product_id, category, amount, score
       FROM unnest($1::tsquery[]) AS asked, LATERAL (
         SELECT product_id, category, amount,
                round((2 * ts_rank('${weights}', terms, $2::tsquery) + ts_rank('${weights}', terms, $3::tsquery)) * 1000000)::int
                AS score
         FROM product_terms WHERE terms @@ asked LIMIT $10
       ) AS found
     ), page AS (
       SELECT product_id, score, ${key} AS key, row_number() OVER (ORDER BY ${order}) AS place FROM matching
       WHERE ($4::text IS NULL OR category = $4) AND amount BETWEEN $5::bigint AND $6::bigint
         AND ($9::uuid IS NULL OR ($8::bigint IS NOT NULL AND (${after})))
       ORDER BY ${order} LIMIT $7
     ), shown AS (
       SELECT place, key, score, available, product.version, sku, product_id, category, amount, currency, image_url, ko, en
       FROM page JOIN product USING (product_id) LEFT JOIN stock USING (product_id)
     )
     SELECT
       (SELECT count(*)::int FROM matching) AS found,
       (SELECT coalesce(json_agg(shown ORDER BY place), '[]') FROM shown) AS items,
       (SELECT coalesce(json_agg(json_build_object('value', category, 'count', count) ORDER BY count DESC, category), '[]')
        FROM (SELECT category, count(*) FROM matching WHERE amount BETWEEN $5 AND $6 GROUP BY category) AS counts
       ) AS categories,
       (SELECT coalesce(json_agg(json_build_object('range', range, 'count', count) ORDER BY range), '[]')
        FROM (SELECT width_bucket(amount, '{${priceBounds.join()}}'::bigint[]) AS range, count(*) FROM matching
              WHERE $4 IS NULL OR category = $4 GROUP BY range) AS counts
       ) AS prices`,
  ]),
) as Record<Sort, string>;

/** Names that begin so come first. PostgreSQL looks for the others only where these are not enough. */
const beginning = (language: 'ko' | 'en') => `
  (SELECT product_id, ${language} AS name FROM product_names
   WHERE ${language} >= $1 AND ${language} < $1 || U&'\\+10FFFF' ORDER BY ${language}, product_id LIMIT $3)`;

/** Parameters: the strokes of the beginning, the typed tsquery, number of rows. */
export const suggestSql = `
  SELECT product_id AS "productId", ko->>'name' AS ko, en->>'name' AS en
  FROM (
    SELECT product_id, row_number() OVER () AS place FROM (
      SELECT product_id FROM (${beginning('ko')} UNION ALL ${beginning('en')}) AS begun
      UNION ALL
      (SELECT product_id FROM product_names WHERE typed @@ $2::tsquery LIMIT $3)
    ) AS every LIMIT $3
  ) AS found JOIN product USING (product_id) ORDER BY place`;
