import type { Body, Language } from '@jogakbo/contract';
import type { AddProduct, Product as PublicProduct, ProductAdded } from '@jogakbo/contracts-catalog';
import { Column, Entity, PrimaryColumn } from 'typeorm';

const integer = { to: (value: number) => value, from: (value: string) => Number(value) };

/** A product as it is kept. One that was taken off sale stays, for the orders that name it. */
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

type TextChange = Partial<Pick<Product, 'name' | 'description'>>;

/** The product with other translations; null removes one. A new one begins with the original text. */
export function withTranslations(
  product: Product,
  patch: Readonly<Partial<Record<Language, TextChange | null | undefined>>>,
): Product {
  const translations = { ...product.translations };
  for (const [language, change] of Object.entries(patch) as [Language, TextChange | null][]) {
    const { name, description } = translations[language] ?? product;
    if (change === null) delete translations[language];
    else translations[language] = { name, description, ...change };
  }
  return { ...product, translations };
}

/** The product with another text where one is shown in this language: in its translation, else in the original. */
export function withText(product: Product, language: Language, change: TextChange): Product {
  if (Object.keys(change).length === 0) return product;
  return product.translations[language]
    ? withTranslations(product, { [language]: change })
    : { ...product, ...change };
}

/** As a shopper who reads `language` sees it; where there is no translation, as the merchant wrote it. */
export function inLanguage(product: Product, language: Language): PublicProduct {
  const { productId, sku, category, imageUrl, version, amount, currency } = product;
  const { name, description } = product.translations[language] ?? product;
  return { productId, sku, name, description, category, price: { amount, currency }, imageUrl, version };
}

/** All of it, for the services that keep a copy. */
export function inFull(product: Product): Body<typeof ProductAdded> {
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
