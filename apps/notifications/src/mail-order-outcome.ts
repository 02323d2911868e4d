import type { Body } from '@jogakbo/contract';
import { OrderCancelled, OrderConfirmed, OrderRefunded, OrderRejected } from '@jogakbo/contracts-orders';
import { OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import type { Letter } from './layout.ts';
import { Mail, writeMail, type MailKind } from './mail.ts';
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
    const before = order.wasConfirmed ? 'order-confirmed' : undefined;
    return tell(work, order, 'order-cancelled', (reader) => orderCancelled(reader, order), before);
  }

  @Handles(OrderRefunded)
  refunded(order: Body<typeof OrderRefunded>, work: UnitOfWork) {
    return tell(work, order, 'order-refunded', (reader) => orderRefunded(reader, order), 'order-cancelled');
  }
}

/**
 * In the language of the order, whatever the member signed up in.
 * @param before the kind of mail about this order that must be written first
 * @throws TooEarly where it is not: several instances and retries can swap events
 */
async function tell(
  work: UnitOfWork,
  { orderId, memberId, language }: News,
  kind: MailKind,
  write: (reader: Reader) => Letter,
  before?: MailKind,
): Promise<void> {
  if (before && !(await work.tx.existsBy(Mail, { about: orderId, kind: before })))
    throw new OutOfOrder(`${kind} of order ${orderId} came before ${before}`);
  const member = await findMember(work.tx, memberId);
  await writeMail(work, member, kind, write({ language }), orderId);
}
