import type { Body } from '@jogakbo/contract';
import { ReturnStock, StockReturned } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { lockReservation, setStatus } from './reservation.ts';
import { lockStock, moveStock } from './stock-rows.ts';

@Controller()
export class ReturnStockHandler {
  /** After this nothing is held for the order, whatever of it is still on the way. */
  @Handles(ReturnStock)
  async handle({ orderId }: Body<typeof ReturnStock>, work: UnitOfWork) {
    const { tx, publish } = work;
    // Taken before the look, so that a reservation that is just being made is waited for and seen.
    const tombstone = (await tx.query(
      `INSERT INTO reservation (order_id, lines, status) VALUES ($1, '[]', 'returned')
       ON CONFLICT DO NOTHING RETURNING order_id`,
      [orderId],
    )) as unknown[];
    if (tombstone.length > 0) return;

    const { status, lines } = (await lockReservation(tx, orderId))!;
    if (status === 'returned') return;
    setStatus(work, orderId, 'returned');
    if (status !== 'held' && status !== 'sold') return;
    moveStock(work, await lockStock(tx, lines), lines, status === 'held' ? 'release' : 'takeBack');
    publish(StockReturned({ orderId }));
  }
}
