import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The open orders, counted per member in the transaction that places one. */
export class OpenOrders1700000003000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE open_order (
        order_id uuid PRIMARY KEY,
        member_id uuid NOT NULL,
        opened_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX open_order_of_member ON open_order (member_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE open_order');
  }
}
