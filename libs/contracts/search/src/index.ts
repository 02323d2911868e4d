import { Id, Money, pageOf, pageQuery, service } from '@jogakbo/contract';
import { z } from 'zod';

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

/** Each facet counts what the query finds under all filters but its own. */
export const Facets = z.object({
  category: z.array(z.object({ value: z.string(), count: z.int() })),
  /** Bounds are inclusive and can be sent back as they are; the last range has no upper one. */
  price: z.array(z.object({ minPrice: Price, maxPrice: Price.nullable(), count: z.int() })),
});
export type Facets = z.infer<typeof Facets>;

/** Set where search itself was away: by names alone, and no facets. */
const degraded = z
  .boolean()
  .optional()
  .describe('true: search is away, and the catalog answers by names alone');

export const SearchProducts = search.query('search-products', {
  description: 'The products on sale that fit some words in Korean or English, the best first.',
  input: z
    .strictObject({
      q: z.string().trim().min(1).max(100),
      category: Category.optional(),
      minPrice: Price.optional(),
      maxPrice: Price.optional(),
      sort: z.enum(['relevance', 'price-asc', 'price-desc', 'newest']).default('relevance'),
      ...pageQuery,
    })
    .refine(({ minPrice = 0, maxPrice = Infinity }) => minPrice <= maxPrice, {
      path: ['minPrice'],
      message: 'is more than maxPrice',
    }),
  output: pageOf(Hit).extend({ facets: Facets, degraded }),
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
