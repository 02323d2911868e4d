import type { Body } from '@jogakbo/contract';
import { CancelOrder } from '@jogakbo/contracts-orders';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { happen } from './order-log.ts';
import { cancel } from './order.ts';

@Controller()
export class CancelOrderHandler {
  @Handles(CancelOrder)
  async handle({ orderId }: Body<typeof CancelOrder>, work: UnitOfWork) {
    const { caller } = work;
    const { status, total } = await happen(work, orderId, (order) => {
      caller.mustOwn(order.memberId);
      return cancel(order);
    });
    return { orderId, status, total };
  }
}
