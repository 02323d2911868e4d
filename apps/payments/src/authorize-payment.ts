import type { Body } from '@jogakbo/contract';
import {
  AuthorizePayment,
  PaymentAuthorized,
  PaymentDeclined,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { addPayment, changePayment, findPayment } from './payment-row.ts';
import { paymentIdOf } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class AuthorizePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  @Handles(AuthorizePayment)
  async handle(command: Body<typeof AuthorizePayment>, { tx, publish, publishLater }: UnitOfWork) {
    const { orderId, memberId, amount, token } = command;
    if (await findPayment(this.dataSource.manager, orderId)) return;

    const paymentId = paymentIdOf(orderId);
    const decision = await this.provider.authorize({ idempotencyKey: paymentId, amount, token });
    const authorized = decision.outcome === 'authorized';
    const payment = {
      paymentId,
      orderId,
      memberId,
      ...amount,
      status: decision.outcome,
      providerReference: authorized ? decision.reference : null,
      reason: authorized ? null : decision.reason,
    };
    if (await addPayment(tx, payment)) {
      if (authorized) publish(PaymentAuthorized({ orderId, paymentId, amount }));
      else publish(PaymentDeclined({ orderId, paymentId, reason: decision.reason }));
      return;
    }

    const known = await findPayment(tx, orderId);
    if (known?.status !== 'returned' || !authorized) return;
    // The order ended while the provider was deciding: nobody hears of this authorization, and it is let go of.
    await changePayment(tx, known, payment);
    publishLater(ReturnPayment({ orderId }), new Date());
  }
}
