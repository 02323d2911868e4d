import type { Body } from '@jogakbo/contract';
import { CommitStock, StockCommitted } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { lockReservation, setStatus } from './reservation.ts';
import { firstShortage } from './stock.ts';
import { lockStock, moveStock } from './stock-rows.ts';

@Controller()
export class CommitStockHandler {
  /**
   * An order that was paid for after its reservation had expired gets its pieces if there still are enough. If not, it
   * is a fault that ends in the dead letters: a person has to find pieces or to cancel the order.
   */
  @Handles(CommitStock)
  async handle({ orderId }: Body<typeof CommitStock>, work: UnitOfWork) {
    const { tx, publish } = work;
    const reservation = await lockReservation(tx, orderId);
    if (!reservation) throw new Error(`nothing was reserved for order ${orderId} yet`);
    const { status, lines } = reservation;
    // A returned order was cancelled while this was on its way.
    if (status === 'sold' || status === 'returned') return;
    if (status === 'refused')
      throw new Error(`order ${orderId} was refused its pieces, yet it was confirmed`);

    const stock = await lockStock(tx, lines);
    if (status === 'expired') {
      const shortage = firstShortage(lines, stock);
      if (shortage) {
        throw new Error(
          `the reservation of order ${orderId} expired, and of product ${shortage.productId} only ${shortage.available} are left`,
        );
      }
    }
    moveStock(work, stock, lines, status === 'held' ? 'sell' : 'sellFromHand');
    setStatus(work, orderId, 'sold');
    publish(StockCommitted({ orderId }));
  }
}
