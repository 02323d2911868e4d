/**
 * The bounds of price ranges, in units of a power of ten that depends on the results, because typical amounts differ by
 * currency (won, dinars). There is one more range above the last bound.
 */
const priceSteps = [1, 3, 5, 10, 20];

/** Returns the inclusive bounds of a range; the last one has no upper bound. */
export const getPriceRange = (range: number, unit: number) => ({
  minPrice: (priceSteps[range - 1] ?? 0) * unit,
  maxPrice: range < priceSteps.length ? priceSteps[range]! * unit - 1 : null,
});

/** The ranks of terms with weight D, C, B and A. */
const weights = '{0.05, 0.1, 0.4, 1}';

/** `key` is the sort key of a page and the id breaks ties; the cursor has both. */
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
  // Ids rise with time.
  newest: { key: '0', order: 'product_id DESC', after: 'product_id < $9' },
};
export type Sort = keyof typeof orders;

/**
 * One statement for a page and its facets. Prices are compared within one currency: the requested one, or the most
 * frequent one among the results. Parameters: matching tsqueries, tsqueries of exact and of all forms, category, lowest
 * and highest price, number of items, key and id of the last item (null for the first page), matches per tsquery,
 * currency, whether to return only products in that currency.
 */
export const searchSql = Object.fromEntries(
  Object.entries(orders).map(([sort, { key, order, after }]) => [
    sort,
    `WITH matching AS MATERIALIZED (
       SELECT DISTINCT product_id, category, amount, currency, score
       FROM unnest($1::tsquery[]) AS asked, LATERAL (
         SELECT product_id, category, amount, currency,
                round((2 * ts_rank('${weights}', terms, $2::tsquery) + ts_rank('${weights}', terms, $3::tsquery)) * 1000000)::int
                AS score
         FROM product_terms WHERE terms @@ asked LIMIT $10
       ) AS found
     ), currencies AS MATERIALIZED (
       SELECT currency AS value, count(*), count(*) FILTER (WHERE $4::text IS NULL OR category = $4) AS shown,
              power(10, floor(avg(log(greatest(amount, 1)::float8))))::bigint AS unit
       FROM matching GROUP BY currency
     ), compared AS MATERIALIZED (
       SELECT coalesce($11::text, (SELECT value FROM currencies ORDER BY count DESC, value LIMIT 1)) AS currency
     ), comparable AS MATERIALIZED (
       SELECT matching.* FROM matching, compared WHERE NOT $12::boolean OR matching.currency = compared.currency
     ), page AS (
       SELECT product_id, score, ${key} AS key, row_number() OVER (ORDER BY ${order}) AS place FROM comparable
       WHERE ($4::text IS NULL OR category = $4) AND amount BETWEEN $5::bigint AND $6::bigint
         AND ($9::uuid IS NULL OR ($8::bigint IS NOT NULL AND (${after})))
       ORDER BY ${order} LIMIT $7
     ), shown AS (
       SELECT place, key, score, available, product.version, sku, product_id, category, amount, currency, image_url, ko, en
       FROM page JOIN product USING (product_id) LEFT JOIN stock USING (product_id)
     )
     SELECT
       (SELECT count(*)::int FROM matching) AS found,
       (SELECT currency FROM compared) AS currency,
       (SELECT coalesce(json_agg(shown ORDER BY place), '[]') FROM shown) AS items,
       (SELECT coalesce(json_agg(json_build_object('value', category, 'count', count) ORDER BY count DESC, category), '[]')
        FROM (SELECT category, count(*) FROM comparable WHERE amount BETWEEN $5 AND $6 GROUP BY category) AS counts
       ) AS categories,
       (SELECT coalesce(json_agg(json_build_object('value', value, 'count', shown) ORDER BY shown DESC, value), '[]')
        FROM currencies WHERE shown > 0
       ) AS currencies,
       (SELECT coalesce(json_agg(json_build_object('range', range, 'count', count, 'unit', unit) ORDER BY range), '[]')
        FROM (SELECT unit, width_bucket(amount, ARRAY[${priceSteps.map((step) => `${step} * unit`).join()}]) AS range, count(*)
              FROM matching JOIN compared USING (currency) JOIN currencies ON value = currency
              WHERE $4 IS NULL OR category = $4 GROUP BY unit, range) AS counts
       ) AS prices`,
  ]),
) as Record<Sort, string>;

/** Names with this prefix come first. PostgreSQL searches for the others only if there are too few. */
const buildPrefixSql = (language: 'ko' | 'en') => `
  (SELECT product_id, ${language} AS name FROM product_names
   WHERE ${language} >= $1 AND ${language} < $1 || U&'\\+10FFFF' ORDER BY ${language}, product_id LIMIT $3)`;

/** Parameters: the keystrokes of the prefix, the tsquery of the typed words, number of rows. */
export const suggestSql = `
  SELECT product_id AS "productId", ko->>'name' AS ko, en->>'name' AS en
  FROM (
    SELECT product_id, row_number() OVER () AS place FROM (
      SELECT product_id FROM (${buildPrefixSql('ko')} UNION ALL ${buildPrefixSql('en')}) AS begun
      UNION ALL
      (SELECT product_id FROM product_names WHERE typed @@ $2::tsquery LIMIT $3)
    ) AS every LIMIT $3
  ) AS found JOIN product USING (product_id) ORDER BY place`;
