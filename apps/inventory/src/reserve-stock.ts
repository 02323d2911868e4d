import type { Body } from '@jogakbo/contract';
import { ExpireReservation, ReserveStock, StockRefused, StockReserved } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { setStatus } from './reservation.ts';
import { InventorySettings } from './settings.ts';
import { lockStock, moveStock } from './stock-rows.ts';
import { findShortage, mergeLines } from './stock.ts';

@Controller()
export class ReserveStockHandler {
  constructor(private readonly settings: InventorySettings) {}

  /** Publishes one result per order, and none if the order was returned first: it has already ended. */
  @Handles(ReserveStock)
  async handle(command: Body<typeof ReserveStock>, work: UnitOfWork) {
    const { tx, publish, publishLater } = work;
    const { orderId } = command;
    const lines = mergeLines(command.lines);
    const [[held], stock] = await Promise.all([
      tx.query(
        `INSERT INTO reservation (order_id, lines, status, expires_at)
         VALUES ($1, $2, 'held', now() + $3 * interval '1 minute') ON CONFLICT DO NOTHING RETURNING order_id`,
        [orderId, JSON.stringify(lines), this.settings.reservationMinutes],
      ) as Promise<unknown[]>,
      lockStock(tx, lines),
    ]);
    if (!held) return;

    const shortage = findShortage(lines, stock);
    if (shortage) {
      setStatus(work, orderId, 'refused');
      publish(StockRefused({ orderId, ...shortage }));
      return;
    }
    moveStock(work, stock, lines, 'reserve');
    publish(StockReserved({ orderId }));
    publishLater(ExpireReservation({ orderId }), this.settings.reservationMinutes * 60_000);
  }
}
