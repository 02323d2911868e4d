import type { Body } from '@jogakbo/contract';
import { PaymentRefunded, PaymentVoided, ReturnPayment } from '@jogakbo/contracts-payments';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { post } from './ledger-rows.ts';
import { refunded } from './ledger.ts';
import { addPayment, changePayment, findPayment, moneyOf } from './payment-row.ts';
import { paymentIdOf, TooEarly, toReturn } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class ReturnPaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  /** After this the order has cost nothing and never will, whatever of it is still on the way. */
  @Handles(ReturnPayment)
  async handle({ orderId }: Body<typeof ReturnPayment>, { tx, publish }: UnitOfWork) {
    const paymentId = paymentIdOf(orderId);
    const payment = await findPayment(this.dataSource.manager, orderId);
    const step = toReturn(payment?.status);
    if (!step) return;

    if (step.ask === 'refund') await this.provider.refund(payment!.providerReference!);
    else await this.provider.void(paymentId);

    if (!payment) {
      const alone = await addPayment(tx, { paymentId, orderId, status: step.becomes });
      if (!alone) throw new TooEarly(`order ${orderId} was authorized while it was being returned`);
      return;
    }
    await changePayment(tx, payment, { status: step.becomes });
    if (step.becomes === 'voided') return publish(PaymentVoided({ orderId, paymentId }));
    const amount = moneyOf(payment);
    await post(tx, payment, refunded(amount));
    publish(PaymentRefunded({ orderId, paymentId, amount }));
  }
}
