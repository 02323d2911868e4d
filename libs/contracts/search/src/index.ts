import { CurrencyCode, Id, Money, createPageSchema, pageQuery, service } from '@jogakbo/contract';
import { z } from 'zod';

export { decodeCursor, encodeCursor, type SearchCursor } from './cursor.ts';

export const search = service('search', 'What shoppers find, in Korean and in English.');

const Category = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/)
  .max(60);
const Price = z.int().nonnegative();

/** A product as the catalog shows it, how well it fits, and how many can be bought, where that is known. */
export const Hit = z.object({
  productId: Id,
  sku: z.string(),
  name: z.string(),
  description: z.string(),
  category: z.string(),
  price: Money,
  imageUrl: z.string(),
  version: z.int(),
  available: z.int().optional(),
  score: z.number(),
});
export type Hit = z.infer<typeof Hit>;

const Counted = z.array(z.object({ value: z.string(), count: z.int() }));
/** Each facet counts what the query finds under all filters but its own. */
export const Facets = z.object({
  category: Counted,
  /** Prices in different currencies cannot be compared: this facet counts under the filter of categories alone. */
  currency: Counted,
  /** Bounds are inclusive and can be sent back as they are; the last range has no upper one. */
  price: z.array(z.object({ minPrice: Price, maxPrice: Price.nullable(), count: z.int() })),
});
export type Facets = z.infer<typeof Facets>;

/** Set where search itself was away: by names alone, and no facets. */
const degraded = z
  .boolean()
  .optional()
  .describe('true: search is away, and the catalog answers by names alone');
/** A cursor outlives the change between search and the catalog where both sort alike, by price or age. */
const restarted = z
  .literal(true)
  .optional()
  .describe(
    'true: the cursor could not be continued because search or the catalog has taken over: this is the first page again',
  );

export const SearchProducts = search.query('search-products', {
  description:
    'The products on sale that fit some words in Korean or English, or a SKU or its beginning, the best first. Prices are compared within one currency: where minPrice, maxPrice or a sort by price is asked for, only products in `currency` are shown; without it, in the currency of most of what was found.',
  input: z
    .strictObject({
      q: z.string().trim().min(1).max(100),
      category: Category.optional(),
      minPrice: Price.optional(),
      maxPrice: Price.optional(),
      currency: CurrencyCode.optional().describe('shows only products with prices in this currency'),
      sort: z.enum(['relevance', 'price-asc', 'price-desc', 'newest']).default('relevance'),
      ...pageQuery,
    })
    .refine(({ minPrice = 0, maxPrice = Infinity }) => minPrice <= maxPrice, {
      path: ['minPrice'],
      message: 'is more than maxPrice',
    }),
  output: createPageSchema(Hit).extend({
    currency: z.string().nullable().describe('in which prices were compared; null where nothing was found'),
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
});

export const SuggestProducts = search.query('suggest-products', {
  description: 'Names of products that begin with, or hold words that begin with, what was typed so far.',
  input: z.strictObject({ q: z.string().trim().min(1).max(100), limit: z.int().min(1).max(20).default(8) }),
  output: z.object({ items: z.array(z.object({ text: z.string(), productId: Id })), degraded }),
  http: {
    route: 'GET /v1/search/suggestions',
    cache: { maxAge: 2 },
    fallback: { answer: { items: [], degraded: true } },
  },
  access: 'public',
});
