import type { UnitOfWork } from '@jogakbo/consistency';
import type { EntityManager } from 'typeorm';
import type { Line } from './stock.ts';

/**
 * held: the pieces wait for their order. sold: they are its. returned: the order is over and will never hold anything
 * again. expired: held for too long. refused: there was too little.
 */
export type ReservationStatus = 'held' | 'sold' | 'returned' | 'expired' | 'refused';

/** What an order holds or has bought; one an order, for good. */
export interface Reservation {
  lines: Line[];
  status: ReservationStatus;
  /** Milliseconds until it expires, by the clock of the database, which is also the one that timers fire by. */
  remaining: number;
}

/** Whoever touches a reservation locks it before any stock, so that both are never waited for in both orders. */
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
