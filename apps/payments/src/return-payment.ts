import { append, load, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { payment, paymentIdOf, toReturn } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class ReturnPaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  /** After this the order has cost nothing and never will, whatever of it is still on the way. */
  @Handles(ReturnPayment)
  async handle({ orderId }: Body<typeof ReturnPayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    const step = toReturn(found.state?.status);
    if (!step) return;
    if (step.ask === 'refund') await this.provider.refund(found.state!.reference!);
    else await this.provider.void(paymentIdOf(orderId));
    await append(work, payment, orderId, found, [{ type: step.becomes }]);
  }
}
