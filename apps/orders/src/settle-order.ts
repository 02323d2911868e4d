import type { Body } from '@jogakbo/contract';
import { ConfirmOrder, RejectOrder } from '@jogakbo/contracts-orders';
import { PaymentRefunded } from '@jogakbo/contracts-payments';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { happen } from './order-log.ts';
import { confirm, refund, reject } from './order.ts';

/** What the sagas and the money decide about an order. */
@Controller()
export class SettleOrderHandler {
  @Handles(ConfirmOrder)
  async confirm({ orderId }: Body<typeof ConfirmOrder>, work: UnitOfWork) {
    await happen(work, orderId, confirm);
  }

  @Handles(RejectOrder)
  async reject({ orderId, reason }: Body<typeof RejectOrder>, work: UnitOfWork) {
    await happen(work, orderId, (order) => reject(order, reason));
  }

  @Handles(PaymentRefunded)
  async refund({ orderId }: Body<typeof PaymentRefunded>, work: UnitOfWork) {
    await happen(work, orderId, refund);
  }
}
