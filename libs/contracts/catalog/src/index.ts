import {
  Id,
  lineOfText,
  multilineText,
  createPageSchema,
  pageQuery,
  service,
  Version,
  VersionCondition,
} from '@jogakbo/contract';
import { CurrencyCode, Money } from '@jogakbo/contracts-commerce';
import { z } from 'zod';

export const catalog = service('catalog', 'What the store sells: products and their prices.');

/** Upper case is the canonical form: SKUs are not case-sensitive. */
const Sku = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
  .toUpperCase();
const ProductName = lineOfText(200);
const Description = multilineText(2000);
const Category = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/)
  .max(60);
const ImageUrl = z
  .string()
  .max(2000)
  .regex(/^(https:\/\/|data:image\/svg\+xml[,;])/);
/** The limit keeps the total of any order within the integers that JSON represents exactly. */
const Price = Money.extend({ amount: Money.shape.amount.max(100_000_000_000), currency: CurrencyCode });
const Translation = z.strictObject({ name: ProductName, description: Description });
const Translations = z.strictObject({ ko: Translation.optional(), en: Translation.optional() });
/** A merge patch (RFC 7396): null removes a translation. */
const TranslationPatch = Translation.partial().nullable().optional();
const TranslationsPatch = z.strictObject({ ko: TranslationPatch, en: TranslationPatch });

export const Product = z.object({
  productId: Id,
  sku: z.string(),
  name: z.string(),
  description: z.string(),
  category: z.string(),
  price: Money,
  imageUrl: z.string(),
  version: Version,
});
export type Product = z.infer<typeof Product>;

/** While catalog does not answer, data of the last hour is used. Orders do not rely on these prices. */
const cache = { maxAge: 2, staleIfError: 3_600 };

export const ListProducts = catalog.query('list-products', {
  description: 'The products on sale, in the order they were added.',
  input: z.strictObject({ category: Category.optional(), ...pageQuery }),
  output: createPageSchema(Product),
  rejections: { 'unknown-cursor': 400 },
  http: { route: 'GET /v1/products', cache },
  access: 'public',
  priority: 'low',
});

export const GetProduct = catalog.query('get-product', {
  description: 'One product.',
  input: z.strictObject({ productId: Id }),
  output: Product,
  http: { route: 'GET /v1/products/{productId}', etag: 'version', cache },
  access: 'public',
  priority: 'low',
});

export const QuoteProducts = catalog.query('quote-products', {
  description:
    'The names and prices of several products, and prices of earlier versions. Products that are not on sale are omitted.',
  input: z.strictObject({
    productIds: z.array(Id).min(1).max(100),
    earlier: z
      .array(z.strictObject({ productId: Id, version: Version }))
      .max(100)
      .optional(),
  }),
  output: z.object({
    items: z.array(z.object({ productId: Id, name: z.string(), price: Money, version: Version })),
    earlier: z
      .array(z.object({ productId: Id, version: Version, price: Money }))
      .default([])
      .describe('without versions of unknown price'),
  }),
});

const Amount = z.int().nonnegative();

export const FindProducts = catalog.query('find-products', {
  description:
    'Fallback while search is unavailable: products whose names contain all the words, without facets.',
  input: z
    .strictObject({
      q: z.string().trim().min(1).max(100),
      category: Category.optional(),
      minPrice: Amount.optional(),
      maxPrice: Amount.optional(),
      currency: CurrencyCode.optional(),
      sort: z.enum(['relevance', 'price-asc', 'price-desc', 'newest']).default('relevance'),
      ...pageQuery,
    })
    .refine(({ minPrice = 0, maxPrice = Infinity }) => minPrice <= maxPrice, {
      path: ['minPrice'],
      message: 'is more than maxPrice',
    }),
  output: createPageSchema(Product.extend({ score: z.number() })).extend({
    currency: z.string().nullable(),
    facets: z.object({
      category: z.array(z.object({ value: z.string(), count: z.int() })),
      currency: z.array(z.object({ value: z.string(), count: z.int() })),
      price: z.array(z.object({ minPrice: Amount, maxPrice: Amount.nullable(), count: z.int() })),
    }),
    degraded: z.literal(true),
    restarted: z.literal(true).optional(),
  }),
  rejections: { 'unknown-cursor': 400 },
  standsInFor: 'search.search-products',
});

export const AddProduct = catalog.command('add-product', {
  description: 'Puts a product on sale.',
  input: z.strictObject({
    sku: Sku,
    name: ProductName,
    description: Description.default(''),
    category: Category,
    price: Price,
    imageUrl: ImageUrl.optional(),
    translations: Translations.optional(),
  }),
  output: Product,
  rejections: { 'sku-taken': 409 },
  http: { route: 'POST /v1/products', status: 201, location: '/v1/products/{productId}', etag: 'version' },
  access: 'merchant',
  priority: 'high',
});

export const ChangeProduct = catalog.command('change-product', {
  description:
    'Changes fields of a product if its version matches If-Match. `name` and `description` replace the text in the language of Accept-Language: the translation if there is one, otherwise the original. `translations` is a merge patch (RFC 7396): null removes a translation.',
  input: z.strictObject({
    productId: Id,
    version: VersionCondition,
    name: ProductName.optional(),
    description: Description.optional(),
    category: Category.optional(),
    price: Price.optional(),
    imageUrl: ImageUrl.optional(),
    translations: TranslationsPatch.optional(),
  }),
  output: Product,
  rejections: { 'version-changed': 412 },
  http: { route: 'PATCH /v1/products/{productId}', ifMatch: 'version', etag: 'version' },
  access: 'merchant',
  priority: 'high',
});

export const RemoveProduct = catalog.command('remove-product', {
  description: 'Takes a product off sale.',
  input: z.strictObject({ productId: Id, version: VersionCondition }),
  rejections: { 'version-changed': 412 },
  http: { route: 'DELETE /v1/products/{productId}', ifMatch: 'version' },
  access: 'merchant',
  priority: 'high',
});

const ProductState = Product.extend({
  translations: z.object({
    ko: z.object({ name: z.string(), description: z.string() }).optional(),
    en: z.object({ name: z.string(), description: z.string() }).optional(),
  }),
});

export const ProductAdded = catalog.event('product-added', ProductState, {
  subject: 'productId',
  description: 'A product is on sale.',
});
export const ProductChanged = catalog.event('product-changed', ProductState, {
  subject: 'productId',
  description: 'A product on sale changed. Contains the whole product.',
});
export const ProductRemoved = catalog.event('product-removed', z.object({ productId: Id }), {
  subject: 'productId',
  description: 'A product is no longer on sale.',
});
