import type { Body } from '@jogakbo/contract';
import { OrderCancelled, OrderConfirmed, OrderRefunded, OrderRejected } from '@jogakbo/contracts-orders';
import type { UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import type { Letter } from './layout.ts';
import { writeMail, type MailKind } from './mail.ts';
import { findMember } from './member.ts';
import { orderCancelled, orderConfirmed, orderRefunded, orderRejected, type Reader } from './templates.ts';

/** What all news of an order say. */
type News = Pick<Body<typeof OrderConfirmed>, 'orderId' | 'memberId' | 'language'>;

@Controller()
export class MailOrderOutcomeHandler {
  @Handles(OrderConfirmed)
  confirmed(order: Body<typeof OrderConfirmed>, work: UnitOfWork) {
    return tell(work, order, 'order-confirmed', (reader) => orderConfirmed(reader, order));
  }

  @Handles(OrderRejected)
  rejected(order: Body<typeof OrderRejected>, work: UnitOfWork) {
    return tell(work, order, 'order-rejected', (reader) => orderRejected(reader, order));
  }

  @Handles(OrderCancelled)
  cancelled(order: Body<typeof OrderCancelled>, work: UnitOfWork) {
    return tell(work, order, 'order-cancelled', (reader) => orderCancelled(reader, order));
  }

  @Handles(OrderRefunded)
  refunded(order: Body<typeof OrderRefunded>, work: UnitOfWork) {
    return tell(work, order, 'order-refunded', (reader) => orderRefunded(reader, order));
  }
}

/** In the language of the order, whatever the member signed up in. */
async function tell(
  work: UnitOfWork,
  { orderId, memberId, language }: News,
  kind: MailKind,
  write: (reader: Reader) => Letter,
): Promise<void> {
  const member = await findMember(work.tx, memberId);
  await writeMail(work, member, kind, write({ language }), orderId);
}
