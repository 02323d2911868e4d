import type { Body } from '@jogakbo/contract';
import { ConfirmOrder, RejectOrder } from '@jogakbo/contracts-orders';
import { PaymentRefunded } from '@jogakbo/contracts-payments';
import { change, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { closeOrder } from './open-orders.ts';
import { confirm, order, refund, reject } from './order.ts';

/** Applies the decisions of the sagas and the refunds of payments to orders. */
@Controller()
export class SettleOrderHandler {
  @Handles(ConfirmOrder)
  async confirm({ orderId }: Body<typeof ConfirmOrder>, work: UnitOfWork) {
    await change(work, order, orderId, confirm);
    closeOrder(work, orderId);
  }

  @Handles(RejectOrder)
  async reject({ orderId, reason }: Body<typeof RejectOrder>, work: UnitOfWork) {
    await change(work, order, orderId, (found) => reject(found, reason));
    closeOrder(work, orderId);
  }

  @Handles(PaymentRefunded)
  async refund({ orderId }: Body<typeof PaymentRefunded>, work: UnitOfWork) {
    await change(work, order, orderId, refund);
  }
}
