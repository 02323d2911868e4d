import { history } from '@jogakbo/consistency';
import type { Body } from '@jogakbo/contract';
import { GetOrderOwner } from '@jogakbo/contracts-orders';
import { ListOrderPayments } from '@jogakbo/contracts-payments';
import { Ask, Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { createPostings } from './ledger.ts';
import { evolve, payment, toPaymentId, type Payment } from './payment.ts';

@Controller()
export class ListOrderPaymentsHandler {
  constructor(
    private readonly dataSource: DataSource,
    private readonly ask: Ask,
  ) {}

  /** The payment stores its member. Without a member, this calls orders for the owner. */
  @Handles(ListOrderPayments)
  async handle({ orderId }: Body<typeof ListOrderPayments>, { caller }: MessageContext) {
    const events = await history(this.dataSource.manager, payment, orderId);
    const state = events.reduce<Payment | undefined>(evolve, undefined);
    caller.mustOwn(state?.memberId ?? (await this.ask(GetOrderOwner, { orderId })).memberId);
    if (!state || state.status === 'returned') return { items: [], nextCursor: null };
    const { status, amount, sandbox } = state;
    const entries = events.flatMap((event) => {
      if (event.type !== 'captured' && event.type !== 'refunded') return [];
      return createPostings(event.type, amount!).map((posting) => ({
        ...posting,
        at: event.at.toISOString(),
      }));
    });
    return {
      items: [
        {
          paymentId: toPaymentId(orderId),
          status,
          amount: amount!,
          entries,
          ...(sandbox !== undefined && { sandbox }),
        },
      ],
      nextCursor: null,
    };
  }
}
