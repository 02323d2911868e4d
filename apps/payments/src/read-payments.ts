import { history } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { CheckPaymentToken, ListOrderPayments } from '@jogakbo/contracts-payments';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { postingsOf } from './ledger.ts';
import { evolve, payment, paymentIdOf, type Payment } from './payment.ts';
import { PaymentProvider } from './provider.ts';

@Controller()
export class ReadPaymentsHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly provider: PaymentProvider,
  ) {}

  /** An order without a payment is nobody's here: whose it is, only the payment says. */
  @Handles(ListOrderPayments)
  async list({ orderId }: Body<typeof ListOrderPayments>, { caller }: MessageContext) {
    const events = await history(this.dataSource.manager, payment, orderId);
    const state = events.reduce<Payment | undefined>(evolve, undefined);
    caller.mustOwn(state?.memberId);
    const { status, amount, sandbox } = state!;
    if (status === 'returned') return { items: [], nextCursor: null };
    const entries = events.flatMap((event) => {
      if (event.type !== 'captured' && event.type !== 'refunded') return [];
      return postingsOf(event.type, amount!).map((posting) => ({ ...posting, at: event.at.toISOString() }));
    });
    return {
      items: [
        {
          paymentId: paymentIdOf(orderId),
          status,
          amount: amount!,
          entries,
          ...(sandbox !== undefined && { sandbox }),
        },
      ],
      nextCursor: null,
    };
  }

  @Handles(CheckPaymentToken)
  async check({ token }: Body<typeof CheckPaymentToken>) {
    return { known: await this.provider.knows(token) };
  }
}
