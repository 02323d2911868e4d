import type { Body } from '@jogakbo/contract';
import { ExpireReservation, ReservationExpired } from '@jogakbo/contracts-inventory';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { lockReservation, setStatus } from './reservation.ts';
import { lockStock, moveStock } from './stock-rows.ts';

@Controller()
export class ExpireReservationHandler {
  @Handles(ExpireReservation)
  async handle({ orderId }: Body<typeof ExpireReservation>, work: UnitOfWork) {
    const { tx, publish, publishLater } = work;
    const reservation = await lockReservation(tx, orderId);
    if (reservation?.status !== 'held') return;
    const { lines, remaining } = reservation;
    // The clock was set back: restart the timer, otherwise the pieces would stay reserved for ever.
    if (remaining > 0) return publishLater(ExpireReservation({ orderId }), remaining);
    moveStock(work, await lockStock(tx, lines), lines, 'release');
    setStatus(work, orderId, 'expired');
    publish(ReservationExpired({ orderId }));
  }
}
