import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The price of a product per version that changed it. Older products start with their current price. */
export class ProductPrices1700000001100 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE product_price (
        product_id uuid NOT NULL,
        version integer NOT NULL,
        amount bigint NOT NULL,
        currency char(3) NOT NULL,
        PRIMARY KEY (product_id, version)
      );
      INSERT INTO product_price SELECT product_id, version, amount, currency FROM product;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE product_price');
  }
}
