import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Orders1700000002000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE order_event (
        order_id uuid NOT NULL,
        version integer NOT NULL,
        type text NOT NULL,
        data json NOT NULL,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (order_id, version)
      );

      CREATE TABLE order_summary (
        order_id uuid PRIMARY KEY,
        member_id uuid NOT NULL,
        status text NOT NULL,
        total json NOT NULL,
        lines json NOT NULL,
        placed_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX order_summary_of_member ON order_summary (member_id, order_id DESC);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE order_summary, order_event');
  }
}
