import type { Body } from '@jogakbo/contract';
import { PaymentRefunded } from '@jogakbo/contracts-payments';
import { change, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { order, refund } from './order.ts';

@Controller()
export class MarkOrderRefundedHandler {
  @Handles(PaymentRefunded)
  async handle({ orderId }: Body<typeof PaymentRefunded>, work: UnitOfWork) {
    await change(work, order, orderId, refund);
  }
}
