import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Products1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE product (
        product_id uuid PRIMARY KEY,
        sku text NOT NULL,
        name text NOT NULL,
        description text NOT NULL,
        translations jsonb NOT NULL,
        category text NOT NULL,
        amount bigint NOT NULL,
        currency char(3) NOT NULL,
        image_url text NOT NULL,
        version integer NOT NULL,
        removed_at timestamptz
      );
      CREATE UNIQUE INDEX product_sku ON product (sku) WHERE removed_at IS NULL;
      CREATE INDEX product_category ON product (category, product_id) WHERE removed_at IS NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE product');
  }
}
