import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tables } from '../src/products.projection.ts';

export class Products1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(tables);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE product, stock, product_terms, product_names, vocabulary');
  }
}
