import type { UnitOfWork } from '@jogakbo/consistency';
import type { EntityManager } from 'typeorm';
import type { Line } from './stock.ts';

/**
 * held: reserved for the order. sold: the order was confirmed. returned: the order has ended and cannot reserve again.
 * expired: held for too long. refused: too few pieces.
 */
export type ReservationStatus = 'held' | 'sold' | 'returned' | 'expired' | 'refused';

/** The pieces that an order holds or has bought. One per order, never deleted. */
export interface Reservation {
  lines: Line[];
  status: ReservationStatus;
  /** Milliseconds until it expires, by the database clock, which timers use too. */
  remaining: number;
}

/** Lock a reservation before any stock: a fixed lock order prevents deadlocks. */
export async function lockReservation(tx: EntityManager, orderId: string): Promise<Reservation | undefined> {
  const [reservation] = (await tx.query(
    `SELECT lines, status, coalesce(extract(epoch FROM expires_at - now()) * 1000, 0)::float AS remaining
     FROM reservation WHERE order_id = $1 FOR UPDATE`,
    [orderId],
  )) as Reservation[];
  return reservation;
}

export function setStatus({ write }: UnitOfWork, orderId: string, status: ReservationStatus): void {
  write('UPDATE reservation SET status = $2 WHERE order_id = $1', [orderId, status]);
}
