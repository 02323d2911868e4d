import type { Body } from '@jogakbo/contract';
import type { AddProduct, Product as PublicProduct, ProductAdded } from '@jogakbo/contracts-catalog';
import { Column, Entity, PrimaryColumn } from 'typeorm';

const integer = { to: (value: number) => value, from: (value: string) => Number(value) };

/** A stored product. Removed products stay, because orders refer to them. */
@Entity('product')
export class Product {
  @PrimaryColumn('uuid', { name: 'product_id' })
  productId: string;

  @Column('text')
  sku: string;

  @Column('text')
  name: string;

  @Column('text')
  description: string;

  @Column('jsonb')
  translations: NonNullable<Body<typeof AddProduct>['translations']>;

  @Column('text')
  category: string;

  @Column('bigint', { transformer: integer })
  amount: number;

  @Column('char', { length: 3 })
  currency: string;

  @Column('text', { name: 'image_url' })
  imageUrl: string;

  @Column('integer')
  version: number;

  @Column('timestamptz', { name: 'removed_at', nullable: true })
  removedAt: Date | null;
}

/** A language that products have texts in. */
type TextLanguage = keyof Product['translations'];
/** Clients that prefer no such language get Korean. */
const toTextLanguage = (language: string): TextLanguage => (language === 'en' ? 'en' : 'ko');

type TextChange = Partial<Pick<Product, 'name' | 'description'>>;

/** Applies a merge patch to the translations; null removes one. A new one starts with the original text. */
export function withTranslations(
  product: Product,
  patch: Readonly<Partial<Record<TextLanguage, TextChange | null | undefined>>>,
): Product {
  const translations = { ...product.translations };
  for (const [language, change] of Object.entries(patch) as [TextLanguage, TextChange | null][]) {
    const { name, description } = translations[language] ?? product;
    if (change === null) delete translations[language];
    else translations[language] = { name, description, ...change };
  }
  return { ...product, translations };
}

/** Changes the text shown in this language: the translation if there is one, otherwise the original. */
export function withText(product: Product, preferred: string, change: TextChange): Product {
  const language = toTextLanguage(preferred);
  if (Object.keys(change).length === 0) return product;
  return product.translations[language]
    ? withTranslations(product, { [language]: change })
    : { ...product, ...change };
}

/** The product in one language; the original text if there is no translation. */
export function toPublicProduct(product: Product, preferred: string): PublicProduct {
  const language = toTextLanguage(preferred);
  const { productId, sku, category, imageUrl, version, amount, currency } = product;
  const { name, description } = product.translations[language] ?? product;
  return { productId, sku, name, description, category, price: { amount, currency }, imageUrl, version };
}

/** The whole product, for services that store a copy. */
export function toProductEvent(product: Product): Body<typeof ProductAdded> {
  const { productId, sku, name, description, category, imageUrl, version, amount, currency, translations } =
    product;
  return {
    productId,
    sku,
    name,
    description,
    category,
    price: { amount, currency },
    imageUrl,
    version,
    translations,
  };
}
