import { Id, createPageSchema, pageQuery, service, Version } from '@jogakbo/contract';
import { CurrencyCode, Money } from '@jogakbo/contracts-commerce';
import { z } from 'zod';

export { decodeCursor, encodeCursor, type SearchCursor } from './cursor.ts';

export const search = service('search', 'Product search in Korean and English.');

const Category = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/)
  .max(60);
const Price = z.int().nonnegative();

/** A product of the catalog with its relevance and, if known, its available quantity. */
export const Hit = z.object({
  productId: Id,
  sku: z.string(),
  name: z.string(),
  description: z.string(),
  category: z.string(),
  price: Money,
  imageUrl: z.string(),
  version: Version,
  available: z.int().optional(),
  score: z.number(),
});
export type Hit = z.infer<typeof Hit>;

const FacetCounts = z.array(z.object({ value: z.string(), count: z.int() }));
/** Each facet counts the results of the query with all filters except its own. */
export const Facets = z.object({
  category: FacetCounts,
  /** Prices in different currencies cannot be compared: this facet applies the category filter only. */
  currency: FacetCounts,
  /** Bounds are inclusive and can be used as filters unchanged; the last range has no upper bound. */
  price: z.array(z.object({ minPrice: Price, maxPrice: Price.nullable(), count: z.int() })),
});
export type Facets = z.infer<typeof Facets>;

/** Set if search is unavailable: the catalog matches names only, without facets. */
const degraded = z
  .boolean()
  .optional()
  .describe('true: search is unavailable, and the catalog matches names only');
/** If both sort alike (by price or age), a cursor stays valid when search and the catalog take over from each other. */
const restarted = z
  .literal(true)
  .optional()
  .describe(
    'true: this is the first page again, because the cursor became invalid when search or the catalog took over',
  );

export const SearchProducts = search.query('search-products', {
  description:
    'The products on sale that match words in Korean or English, or a SKU or its beginning, best match first. Prices are compared within one currency: with minPrice, maxPrice or a sort by price, only products in `currency` are shown; without `currency`, in the currency of most results.',
  input: z
    .strictObject({
      q: z.string().trim().min(1).max(100),
      category: Category.optional(),
      minPrice: Price.optional(),
      maxPrice: Price.optional(),
      currency: CurrencyCode.optional().describe('only products with prices in this currency'),
      sort: z.enum(['relevance', 'price-asc', 'price-desc', 'newest']).default('relevance'),
      ...pageQuery,
    })
    .refine(({ minPrice = 0, maxPrice = Infinity }) => minPrice <= maxPrice, {
      path: ['minPrice'],
      message: 'is more than maxPrice',
    }),
  output: createPageSchema(Hit).extend({
    currency: z
      .string()
      .nullable()
      .describe('the currency in which prices were compared; null without results'),
    facets: Facets,
    degraded,
    restarted,
  }),
  rejections: { 'unknown-cursor': 400 },
  http: {
    route: 'GET /v1/search',
    cache: { maxAge: 2 },
    fallback: { query: 'catalog.find-products' },
  },
  access: 'public',
  priority: 'low',
});

export const SuggestProducts = search.query('suggest-products', {
  description: 'Names of products that begin with the typed text, or contain words that begin with it.',
  input: z.strictObject({ q: z.string().trim().min(1).max(100), limit: z.int().min(1).max(20).default(8) }),
  output: z.object({ items: z.array(z.object({ text: z.string(), productId: Id })), degraded }),
  http: {
    route: 'GET /v1/search/suggestions',
    cache: { maxAge: 2 },
    fallback: { answer: { items: [], degraded: true } },
  },
  access: 'public',
  priority: 'low',
});
