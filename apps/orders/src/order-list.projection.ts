import { projection } from '@jogakbo/consistency';
import { order } from './order.ts';

const tables = `
  CREATE TABLE order_summary (
    order_id uuid PRIMARY KEY,
    member_id uuid NOT NULL,
    status text NOT NULL,
    total json NOT NULL,
    lines json NOT NULL,
    placed_at timestamptz NOT NULL
  );
  CREATE INDEX order_summary_of_member ON order_summary (member_id, order_id DESC);
`;

/** The read model behind order lists, per member. */
export const orderList = projection('order_list', 1, tables).of(order, async (tx, { id, event }) => {
  if (event.type !== 'placed') {
    await tx.query('UPDATE order_summary SET status = $2 WHERE order_id = $1', [id, event.type]);
    return;
  }
  const { memberId, total, lines, at } = event;
  await tx.query(`INSERT INTO order_summary VALUES ($1, $2, 'placed', $3, $4, $5)`, [
    id,
    memberId,
    JSON.stringify(total),
    JSON.stringify(lines),
    at,
  ]);
});
