import type { Body } from '@jogakbo/contract';
import { CancelOrder } from '@jogakbo/contracts-orders';
import { change, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { uncountOpenOrder } from './open-orders.ts';
import { cancel, order } from './order.ts';

@Controller()
export class CancelOrderHandler {
  @Handles(CancelOrder)
  async handle({ orderId }: Body<typeof CancelOrder>, work: UnitOfWork) {
    const { caller } = work;
    const { status, total } = await change(work, order, orderId, (found) => {
      caller.mustOwn(found.memberId);
      return cancel(found);
    });
    uncountOpenOrder(work, orderId);
    return { orderId, status, total };
  }
}
