import type { Body } from '@jogakbo/contract';
import { ReturnStock, StockReturned } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { lockReservation, setStatus } from './reservation.ts';
import { lockStock, moveStock } from './stock-rows.ts';

@Controller()
export class ReturnStockHandler {
  /** Afterwards the order holds nothing, whatever messages about it are still in flight. */
  @Handles(ReturnStock)
  async handle({ orderId }: Body<typeof ReturnStock>, work: UnitOfWork) {
    const { tx, publish } = work;
    // Inserted before the read, so that this waits for a concurrent reservation and sees it.
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
