import type { Body } from '@jogakbo/contract';
import { ConfirmOrder } from '@jogakbo/contracts-orders';
import { change, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { uncountOpenOrder } from './open-orders.ts';
import { confirm, order } from './order.ts';

@Controller()
export class ConfirmOrderHandler {
  @Handles(ConfirmOrder)
  async handle({ orderId }: Body<typeof ConfirmOrder>, work: UnitOfWork) {
    await change(work, order, orderId, confirm);
    uncountOpenOrder(work, orderId);
  }
}
