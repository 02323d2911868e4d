import type { UnitOfWork } from '@jogakbo/consistency';
import { PlaceOrder } from '@jogakbo/contracts-orders';

/** Orders of one member that may be open at a time: placed, and neither confirmed, rejected nor cancelled yet. */
export const mostOpenOrders = 20;

/** Seconds after which a member who has too many may try again: a checkout takes less, unless the provider is slow. */
const tryAgainAfter = 5;

/**
 * Counts an order as open. The orders of one member are counted one after the other, so that the limit is exact.
 * @throws Rejection `too-many-open-orders`: each open order holds stock, and may hold a call of the payment provider
 */
export async function openOrder(work: UnitOfWork, orderId: string, memberId: string): Promise<void> {
  const [, counted] = await Promise.all([
    work.hold(memberId),
    work.tx.query<unknown[]>(insertIfFew, [orderId, memberId, mostOpenOrders]), // runs when the lock is ours
  ]);
  if (counted.length === 0)
    throw PlaceOrder.reject(
      'too-many-open-orders',
      `${mostOpenOrders} orders are open already: wait until one of them is confirmed or rejected, or cancel one`,
    ).until(tryAgainAfter);
}

/** Counts an order as open no more. Repeating it changes nothing. */
export const closeOrder = (work: UnitOfWork, orderId: string): void =>
  work.write('DELETE FROM open_order WHERE order_id = $1', [orderId]);

/** The checkout ends within ten minutes. What is older was ended by an instance of a version without this table. */
const insertIfFew = `
  INSERT INTO open_order (order_id, member_id) SELECT $1::uuid, $2::uuid
  WHERE (SELECT count(*) FROM open_order
         WHERE member_id = $2::uuid AND opened_at > now() - interval '15 minutes') < $3
  RETURNING order_id`;
