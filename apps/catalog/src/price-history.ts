import type { UnitOfWork } from '@jogakbo/consistency';
import type { DataSource } from 'typeorm';
import type { Product } from './product.ts';

/** Records the price of a product from this version on. */
export function recordPrice({ write }: UnitOfWork, product: Product): void {
  const { productId, version, amount, currency } = product;
  write('INSERT INTO product_price (product_id, version, amount, currency) VALUES ($1, $2, $3, $4)', [
    ...[productId, version, amount, currency],
  ]);
}

interface ProductVersion {
  productId: string;
  version: number;
}

/** Returns the prices of earlier versions, without versions older than the price history and future versions. */
export async function findEarlierPrices(dataSource: DataSource, versions: ProductVersion[]) {
  if (versions.length === 0) return [];
  const found = await dataSource.query<(ProductVersion & { amount: string; currency: string })[]>(
    `SELECT asked.product_id AS "productId", asked.version, price.amount, price.currency
     FROM unnest($1::uuid[], $2::int[]) AS asked (product_id, version)
     JOIN product ON product.product_id = asked.product_id AND asked.version <= product.version
     CROSS JOIN LATERAL (
       SELECT amount, currency FROM product_price
       WHERE product_id = asked.product_id AND version <= asked.version ORDER BY version DESC LIMIT 1
     ) AS price`,
    [versions.map(({ productId }) => productId), versions.map(({ version }) => version)],
  );
  return found.map(({ amount, currency, ...rest }) => ({
    ...rest,
    price: { amount: Number(amount), currency },
  }));
}
