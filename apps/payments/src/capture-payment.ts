import { append, load, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { CapturePayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { payment, toCapture } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class CapturePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  @Handles(CapturePayment)
  async handle({ orderId }: Body<typeof CapturePayment>, work: UnitOfWork) {
    const found = await load(this.dataSource.manager, payment, orderId);
    const step = toCapture(found.state?.status);
    if (!step) return;
    await this.provider.capture(found.state!.reference!);
    await append(work, payment, orderId, found, [{ type: step.becomes }]);
  }
}
