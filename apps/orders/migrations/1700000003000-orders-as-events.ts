import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What happened to orders moves into the event store; the list of orders becomes a projection. */
export class OrdersAsEvents1700000003000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      INSERT INTO event (stream, subject, version, type, data, at)
        SELECT 'order', order_id, version, type, data, at FROM order_event ORDER BY at, version;
      DROP TABLE order_summary, order_event;
    `);
  }

  async down(): Promise<void> {
    throw new Error('the event store is not given up again');
  }
}
