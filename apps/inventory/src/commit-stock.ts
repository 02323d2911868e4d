import type { Body } from '@jogakbo/contract';
import { CommitStock, StockCommitted } from '@jogakbo/contracts-inventory';
import { OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { lockReservation, setStatus } from './reservation.ts';
import { findShortage } from './stock.ts';
import { lockStock, moveStock } from './stock-rows.ts';

@Controller()
export class CommitStockHandler {
  /**
   * If the reservation has expired before the payment, the order gets pieces from the free stock. If there are too few,
   * the message becomes a dead letter: an operator has to restock or cancel the order.
   */
  @Handles(CommitStock)
  async handle({ orderId }: Body<typeof CommitStock>, work: UnitOfWork) {
    const { tx, publish } = work;
    const reservation = await lockReservation(tx, orderId);
    if (!reservation) throw new OutOfOrder(`order ${orderId} has no reservation yet`);
    const { status, lines } = reservation;
    // Returned: the order was cancelled while this command was in flight.
    if (status === 'sold' || status === 'returned') return;
    if (status === 'refused')
      throw CommitStock.reject(
        'reservation-refused',
        `order ${orderId} was confirmed, but its reservation was refused`,
      );

    const stock = await lockStock(tx, lines);
    if (status === 'expired') {
      const shortage = findShortage(lines, stock);
      if (shortage) {
        throw new Error(
          `the reservation of order ${orderId} has expired and only ${shortage.available} pieces of product ` +
            `${shortage.productId} are left: restock or cancel the order`,
        );
      }
    }
    moveStock(work, stock, lines, status === 'held' ? 'sell' : 'sellFromHand');
    setStatus(work, orderId, 'sold');
    publish(StockCommitted({ orderId }));
  }
}
