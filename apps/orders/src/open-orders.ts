import type { UnitOfWork } from '@jogakbo/consistency';
import { PlaceOrder } from '@jogakbo/contracts-orders';

/** Open orders allowed per member. Open: placed, and not yet confirmed, rejected or cancelled. */
export const maxOpenOrders = 20;

/** Seconds before a retry makes sense: a checkout takes less, unless the payment provider is slow. */
const retryAfterSeconds = 5;

/**
 * Counts an order as open. A lock per member makes the limit exact.
 * @throws Rejection `too-many-open-orders`: each open order holds stock, and may hold a call to the payment provider
 */
export async function countOpenOrder(work: UnitOfWork, orderId: string, memberId: string): Promise<void> {
  const counted = await work.lockThen(memberId, () =>
    work.tx.query<unknown[]>(insertBelowLimitSql, [orderId, memberId, maxOpenOrders]),
  );
  if (counted.length === 0)
    throw PlaceOrder.reject(
      'too-many-open-orders',
      `the limit of ${maxOpenOrders} open orders is reached: wait until one is confirmed or rejected, or cancel one`,
    ).until(retryAfterSeconds);
}

/** Stops counting an order as open. Idempotent. */
export const uncountOpenOrder = (work: UnitOfWork, orderId: string): void =>
  work.write('DELETE FROM open_order WHERE order_id = $1', [orderId]);

/**
 * Rows older than 15 minutes do not count: the timeout of the checkout ends an order after ten. If that is delayed, because
 * the service or its database was down, the limit is not exact. A version before this table ended orders without deleting
 * their rows; these stay.
 */
const insertBelowLimitSql = `
  INSERT INTO open_order (order_id, member_id) SELECT $1::uuid, $2::uuid
  WHERE (SELECT count(*) FROM open_order
         WHERE member_id = $2::uuid AND opened_at > now() - interval '15 minutes') < $3
  RETURNING order_id`;
