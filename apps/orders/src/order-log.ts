import { platformRejection } from '@jogakbo/contract';
import { OrderCancelled, OrderConfirmed, OrderRefunded, OrderRejected } from '@jogakbo/contracts-orders';
import type { UnitOfWork } from '@jogakbo/consistency';
import type { EntityManager } from 'typeorm';
import { evolve, type Order, type OrderEvent } from './order.ts';

export type Recorded = OrderEvent & { at: Date };

/** All that happened to an order, oldest first; empty where there is no such order. */
export async function readLog(manager: EntityManager, orderId: string): Promise<Recorded[]> {
  const rows = (await manager.query(
    'SELECT type, data, at FROM order_event WHERE order_id = $1 ORDER BY version',
    [orderId],
  )) as { type: string; data: object; at: Date }[];
  return rows.map(({ type, data, at }) => ({ type, ...data, at }) as Recorded);
}

/** The state that the events lead to. @throws Rejection `not-found` where there are none */
export function replay(log: readonly OrderEvent[]): Order {
  const order = log.reduce<Order | undefined>(evolve, undefined);
  if (!order) throw platformRejection('not-found', 'there is no such order');
  return order;
}

/** Writes the first event of an order. */
export async function begin(
  { tx }: UnitOfWork,
  orderId: string,
  placed: Extract<OrderEvent, { type: 'placed' }>,
) {
  await Promise.all([
    append(tx, orderId, 0, [placed]),
    tx.query(
      `INSERT INTO order_summary (order_id, member_id, status, total, lines) VALUES ($1, $2, 'placed', $3, $4)`,
      [orderId, placed.memberId, JSON.stringify(placed.total), JSON.stringify(placed.lines)],
    ),
  ]);
}

/**
 * Lets something happen to an order: reads it, decides, appends, announces. Of two at the same time the second sees
 * what the first did.
 * @param decide pure; may throw a Rejection
 * @returns the order afterwards
 */
export async function happen(
  { tx, publish }: UnitOfWork,
  orderId: string,
  decide: (order: Order) => OrderEvent[],
): Promise<Order> {
  const [, log] = await Promise.all([
    tx.query('SELECT 1 FROM order_summary WHERE order_id = $1 FOR UPDATE', [orderId]),
    readLog(tx, orderId), // runs when the lock is ours
  ]);
  const before = replay(log);
  const events = decide(before);
  if (events.length === 0) return before;
  const after = events.reduce<Order>(evolve, before);
  await Promise.all([
    append(tx, orderId, log.length, events),
    tx.query('UPDATE order_summary SET status = $2 WHERE order_id = $1', [orderId, after.status]),
  ]);
  for (const event of events) publish(announcement(orderId, after, event));
  return after;
}

async function append(
  tx: EntityManager,
  orderId: string,
  version: number,
  events: OrderEvent[],
): Promise<void> {
  for (const { type, ...data } of events) {
    await tx.query('INSERT INTO order_event (order_id, version, type, data) VALUES ($1, $2, $3, $4)', [
      orderId,
      ++version,
      type,
      JSON.stringify(data),
    ]);
  }
}

function announcement(orderId: string, { memberId, language, lines, total }: Order, event: OrderEvent) {
  const about = { orderId, memberId, language, lines, total };
  switch (event.type) {
    case 'confirmed':
      return OrderConfirmed(about);
    case 'rejected':
      return OrderRejected({ ...about, reason: event.reason });
    case 'cancelled':
      return OrderCancelled(about);
    case 'refunded':
      return OrderRefunded(about);
    case 'placed':
      throw new Error('an order is placed once, by place-order');
  }
}
