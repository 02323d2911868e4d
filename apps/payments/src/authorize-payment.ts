import { append, load, nothing, type UnitOfWork } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { AuthorizePayment, ReturnPayment } from '@jogakbo/contracts-payments';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { payment, paymentIdOf, type PaymentEvent } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class AuthorizePaymentHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  /** No connection is held while the provider decides. Whoever is faster meanwhile wins; the loser comes again. */
  @Handles(AuthorizePayment)
  async handle({ orderId, memberId, amount, token }: Body<typeof AuthorizePayment>, work: UnitOfWork) {
    if ((await load(this.dataSource.manager, payment, orderId)).state) return;

    const decision = await this.provider.authorize({ idempotencyKey: paymentIdOf(orderId), amount, token });
    const event: PaymentEvent =
      decision.outcome === 'authorized'
        ? { type: 'authorized', memberId, amount, reference: decision.reference }
        : { type: 'declined', memberId, amount, reason: decision.reason };

    const now = await load(work.tx, payment, orderId);
    if (!now.state) {
      await append(work, payment, orderId, nothing, [event]);
    } else if (now.state.status === 'returned' && event.type === 'authorized') {
      // The order ended while the provider was deciding: nobody hears of this, and it is let go of.
      await append(work, payment, orderId, now, [event]);
      work.publishLater(ReturnPayment({ orderId }), new Date());
    }
  }
}
