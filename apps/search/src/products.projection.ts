import { projection } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { ProductAdded, ProductChanged, ProductRemoved } from '@jogakbo/contracts-catalog';
import { StockChanged } from '@jogakbo/contracts-inventory';
import type { EntityManager } from 'typeorm';
import { extractTerms, getText } from './terms.ts';
import { findNearWords } from './words.ts';

/**
 * Displayed data (`product`, `stock`) and searched data (`product_terms`, and `product_names` for suggestions) are in
 * separate tables: a purchase updates one narrow row and no index, and a search reads no images.
 */
const tables = `
  CREATE TABLE product (
    product_id uuid PRIMARY KEY,
    -- A removed product stays as its id alone, so that a change that comes late does not bring it back.
    removed boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 0,
    sku text,
    category text,
    amount bigint,
    currency text,
    image_url text,
    ko jsonb,
    en jsonb
  );

  CREATE TABLE stock (
    product_id uuid PRIMARY KEY,
    version integer NOT NULL,
    available bigint NOT NULL
  );

  CREATE TABLE product_terms (
    product_id uuid PRIMARY KEY,
    category text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    terms tsvector NOT NULL
  );
  -- Without fastupdate no search has to read through a list of what was not indexed yet.
  CREATE INDEX product_terms_terms ON product_terms USING gin (terms) WITH (fastupdate = off);

  CREATE TABLE product_names (
    product_id uuid PRIMARY KEY,
    typed tsvector NOT NULL,
    ko text COLLATE "C" NOT NULL,
    en text COLLATE "C" NOT NULL
  );
  CREATE INDEX product_names_typed ON product_names USING gin (typed) WITH (fastupdate = off);
  CREATE INDEX product_names_ko ON product_names (ko);
  CREATE INDEX product_names_en ON product_names (en);

  -- Every word that a product ever had. One that no product has any more does no harm: it finds nothing.
  CREATE TABLE vocabulary (
    word text PRIMARY KEY,
    near text[] NOT NULL
  );
  CREATE INDEX vocabulary_near ON vocabulary USING gin (near) WITH (fastupdate = off);
`;

type ProductState = Body<typeof ProductAdded>;

/** Stores the newest version, in any order of events; a removed product stays removed. */
async function saveProduct(tx: EntityManager, product: ProductState): Promise<void> {
  const { productId, version, sku, category, price, imageUrl } = product;
  const saved = (await tx.query(
    `INSERT INTO product (product_id, version, sku, category, amount, currency, image_url, ko, en)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (product_id) DO UPDATE
     SET version = EXCLUDED.version, sku = EXCLUDED.sku, category = EXCLUDED.category, amount = EXCLUDED.amount,
         currency = EXCLUDED.currency, image_url = EXCLUDED.image_url, ko = EXCLUDED.ko, en = EXCLUDED.en
     WHERE NOT product.removed AND product.version < EXCLUDED.version
     RETURNING product_id`,
    [
      productId,
      version,
      sku,
      category,
      price.amount,
      price.currency,
      imageUrl,
      JSON.stringify(getText(product, 'ko')),
      JSON.stringify(getText(product, 'en')),
    ],
  )) as unknown[];
  if (saved.length === 0) return;

  const { terms, typed, ko, en, vocabulary } = extractTerms(product);
  await tx.query(
    `INSERT INTO product_terms (product_id, category, amount, currency, terms) VALUES ($1, $2, $3, $4, $5::tsvector)
     ON CONFLICT (product_id) DO UPDATE
     SET category = EXCLUDED.category, amount = EXCLUDED.amount, currency = EXCLUDED.currency, terms = EXCLUDED.terms`,
    [productId, category, price.amount, price.currency, terms],
  );
  await tx.query(
    `INSERT INTO product_names (product_id, typed, ko, en) VALUES ($1, $2::tsvector, $3, $4)
     ON CONFLICT (product_id) DO UPDATE SET typed = EXCLUDED.typed, ko = EXCLUDED.ko, en = EXCLUDED.en`,
    [productId, typed, ko, en],
  );
  await tx.query(
    `INSERT INTO vocabulary (word, near)
     SELECT word, ARRAY(SELECT jsonb_array_elements_text(near)) FROM jsonb_to_recordset($1::jsonb) AS row (word text, near jsonb)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(vocabulary.map((word) => ({ word, near: findNearWords(word) })))],
  );
}

async function removeProduct(tx: EntityManager, { productId }: Body<typeof ProductRemoved>): Promise<void> {
  await tx.query(
    `INSERT INTO product (product_id, removed) VALUES ($1, true)
     ON CONFLICT (product_id) DO UPDATE
     SET removed = true, version = 0, sku = NULL, category = NULL, amount = NULL, currency = NULL, image_url = NULL,
         ko = NULL, en = NULL`,
    [productId],
  );
  await tx.query('DELETE FROM product_terms WHERE product_id = $1', [productId]);
  await tx.query('DELETE FROM product_names WHERE product_id = $1', [productId]);
}

/** Stock may arrive before its product, and outlives it. An older version does not overwrite a newer one. */
async function saveStock(
  tx: EntityManager,
  { productId, version, available }: Body<typeof StockChanged>,
): Promise<void> {
  await tx.query(
    `INSERT INTO stock (product_id, version, available) VALUES ($1, $2, $3)
     ON CONFLICT (product_id) DO UPDATE SET version = EXCLUDED.version, available = EXCLUDED.available
     WHERE stock.version < EXCLUDED.version`,
    [productId, version, available],
  );
}

/** Each handler is idempotent and depends on the events only: a rebuild gives the same rows. */
export const products = projection('products', 3, tables)
  .on(ProductAdded, saveProduct)
  .on(ProductChanged, saveProduct)
  .on(ProductRemoved, removeProduct)
  .on(StockChanged, saveStock);
