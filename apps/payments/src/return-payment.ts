import { append, load, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FairCalls } from './fair-calls.ts';
import { catchUp, getPayer, getReference, getReturnStep, payment, toPaymentId } from './payment.ts';
import { PaymentProvider, ProviderFault } from './provider.ts';

@Controller()
export class ReturnPaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
    private readonly calls: FairCalls,
  ) {}

  /**
   * Makes the order free of charge for good, whatever messages about it are still in flight. Holds no connection during
   * the provider calls. The later of two concurrent commits fails and is redelivered.
   */
  @Handles(ReturnPayment)
  async handle({ orderId }: Body<typeof ReturnPayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    const step = getReturnStep(found.state?.status);
    if (!step) return;
    const defer = (delay: number) => work.publishLater(ReturnPayment({ orderId }), delay);
    await this.calls.run(getPayer(orderId, found.state), defer, async () => {
      let charge = step === 'void' ? await this.provider.void(toPaymentId(orderId)) : undefined;
      // Captured: recorded here, or by a capture that lost its commit.
      if (!charge || charge.status === 'captured')
        charge = await this.provider.refund(getReference(orderId, found.state));
      if (charge.status === 'authorized' || charge.status === 'captured')
        throw new ProviderFault(`the charge of order ${orderId} is still ${charge.status}`);
      await append(work, payment, orderId, found, catchUp(found.state, charge));
    });
  }
}
