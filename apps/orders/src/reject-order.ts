import type { Body } from '@jogakbo/contract';
import { RejectOrder } from '@jogakbo/contracts-orders';
import { change, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { uncountOpenOrder } from './open-orders.ts';
import { order, reject } from './order.ts';

@Controller()
export class RejectOrderHandler {
  @Handles(RejectOrder)
  async handle({ orderId, reason }: Body<typeof RejectOrder>, work: UnitOfWork) {
    await change(work, order, orderId, (found) => reject(found, reason));
    uncountOpenOrder(work, orderId);
  }
}
