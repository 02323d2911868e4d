import { append, load, OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { CapturePayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { FairCalls } from './fair-calls.ts';
import { canCapture, catchUp, getPayer, getReference, payment } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class CapturePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
    private readonly calls: FairCalls,
  ) {}

  /** Holds no connection during the provider call. The later of two concurrent commits fails and is redelivered. */
  @Handles(CapturePayment)
  async handle({ orderId }: Body<typeof CapturePayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    if (!canCapture(found.state?.status)) return;
    const defer = (delay: number) => work.publishLater(CapturePayment({ orderId }), delay);
    await this.calls.run(getPayer(orderId, found.state), defer, async () => {
      const charge = await this.provider.capture(getReference(orderId, found.state));
      // A return voided it, lost its commit and is redelivered. Without one, this message ends as a dead letter.
      if (charge.status !== 'captured')
        throw new OutOfOrder(`the charge of order ${orderId} is already ${charge.status}`);
      await append(work, payment, orderId, found, catchUp(found.state, charge));
    });
  }
}
