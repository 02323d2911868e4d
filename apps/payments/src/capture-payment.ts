import type { Body } from '@jogakbo/contract';
import { CapturePayment, PaymentCaptured } from '@jogakbo/contracts-payments';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { post } from './ledger-rows.ts';
import { captured } from './ledger.ts';
import { changePayment, findPayment, moneyOf } from './payment-row.ts';
import { toCapture } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class CapturePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  @Handles(CapturePayment)
  async handle({ orderId }: Body<typeof CapturePayment>, { tx, publish }: UnitOfWork) {
    const payment = await findPayment(this.dataSource.manager, orderId);
    const step = toCapture(payment?.status);
    if (!payment || !step) return;

    await this.provider.capture(payment.providerReference!);
    const amount = moneyOf(payment);
    await Promise.all([
      changePayment(tx, payment, { status: step.becomes }),
      post(tx, payment, captured(amount)),
    ]);
    publish(PaymentCaptured({ orderId, paymentId: payment.paymentId, amount }));
  }
}
