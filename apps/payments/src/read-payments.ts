import type { Body } from '@jogakbo/contract';
import { CheckPaymentToken, ListOrderPayments } from '@jogakbo/contracts-payments';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { entriesOf } from './ledger-rows.ts';
import { findPayment, moneyOf } from './payment-row.ts';
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
    const { manager } = this.dataSource;
    const payment = await findPayment(manager, orderId);
    caller.mustOwn(payment?.memberId ?? undefined);
    if (!payment || payment.status === 'returned') return { items: [], nextCursor: null };
    const { paymentId, status } = payment;
    const entries = await entriesOf(manager, paymentId);
    return { items: [{ paymentId, status, amount: moneyOf(payment), entries }], nextCursor: null };
  }

  @Handles(CheckPaymentToken)
  async check({ token }: Body<typeof CheckPaymentToken>) {
    return { known: await this.provider.knows(token) };
  }
}
