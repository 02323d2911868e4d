import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes SKUs upper case. If products on sale have SKUs that differ only in case, the oldest keeps it and the others get
 * their product id as a suffix (64 characters at most). Publishes `product-changed` for each changed product.
 */
export class UpperCaseSkus1700000001200 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX product_sku;
      WITH ranked AS (
        SELECT product_id, row_number() OVER (PARTITION BY upper(sku), removed_at IS NULL ORDER BY product_id) AS nth
        FROM product
      ), canonical AS (
        SELECT product_id, CASE
          WHEN nth = 1 OR removed_at IS NOT NULL THEN upper(sku)
          ELSE left(upper(sku), 27) || '-' || upper(product_id::text) END AS sku
        FROM product JOIN ranked USING (product_id)
      ), changed AS (
        UPDATE product SET sku = canonical.sku, version = version + 1
        FROM canonical WHERE product.product_id = canonical.product_id AND product.sku <> canonical.sku
        RETURNING product.*
      )
      INSERT INTO outbox (message_id, kind, name, subject, data, headers)
      SELECT gen_random_uuid(), 'event', 'catalog.product-changed', product_id, json_build_object(
        'productId', product_id, 'sku', sku, 'name', name, 'description', description, 'category', category,
        'price', json_build_object('amount', amount, 'currency', currency), 'imageUrl', image_url, 'version', version,
        'translations', translations), '{}'
      FROM changed WHERE removed_at IS NULL;
      CREATE UNIQUE INDEX product_sku ON product (upper(sku)) WHERE removed_at IS NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX product_sku;
      CREATE UNIQUE INDEX product_sku ON product (sku) WHERE removed_at IS NULL;
    `);
  }
}
