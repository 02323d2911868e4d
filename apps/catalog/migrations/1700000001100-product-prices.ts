import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a product cost in each version that changed its price. Of products that are older, the price of now is known. */
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
