import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Stock1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE stock (
        product_id uuid PRIMARY KEY,
        on_hand bigint NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
        reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
        sold bigint NOT NULL DEFAULT 0 CHECK (sold >= 0),
        received bigint NOT NULL DEFAULT 0 CHECK (received >= 0),
        version integer NOT NULL DEFAULT 0,
        CONSTRAINT every_piece_is_somewhere CHECK (on_hand + reserved + sold = received)
      );

      CREATE TABLE reservation (
        order_id uuid PRIMARY KEY,
        lines jsonb NOT NULL,
        status text NOT NULL CHECK (status IN ('held', 'sold', 'returned', 'expired', 'refused')),
        -- NULL where the order was over before anything was held for it
        expires_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        CHECK (status <> 'held' OR expires_at IS NOT NULL)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE reservation, stock');
  }
}
