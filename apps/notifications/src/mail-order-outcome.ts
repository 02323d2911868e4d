import type { Body } from '@jogakbo/contract';
import { OrderCancelled, OrderConfirmed, OrderRefunded, OrderRejected } from '@jogakbo/contracts-orders';
import { OutOfOrder, type UnitOfWork } from '@jogakbo/consistency';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { toTextLanguage } from './layout.ts';
import type { RenderedMail } from './layout.ts';
import { Mail, writeMail, type MailKind } from './mail.ts';
import { findMember } from './member.ts';
import {
  renderOrderCancelled,
  renderOrderConfirmed,
  renderOrderRefunded,
  renderOrderRejected,
  type Reader,
} from './templates.ts';

/** The common fields of all order events. */
type OrderEvent = Pick<Body<typeof OrderConfirmed>, 'orderId' | 'memberId' | 'language'>;

@Controller()
export class MailOrderOutcomeHandler {
  @Handles(OrderConfirmed)
  onConfirmed(order: Body<typeof OrderConfirmed>, work: UnitOfWork) {
    return writeOrderMail(work, order, 'order-confirmed', (reader) => renderOrderConfirmed(reader, order));
  }

  @Handles(OrderRejected)
  onRejected(order: Body<typeof OrderRejected>, work: UnitOfWork) {
    return writeOrderMail(work, order, 'order-rejected', (reader) => renderOrderRejected(reader, order));
  }

  @Handles(OrderCancelled)
  onCancelled(order: Body<typeof OrderCancelled>, work: UnitOfWork) {
    const before = order.wasConfirmed ? 'order-confirmed' : undefined;
    return writeOrderMail(
      work,
      order,
      'order-cancelled',
      (reader) => renderOrderCancelled(reader, order),
      before,
    );
  }

  @Handles(OrderRefunded)
  onRefunded(order: Body<typeof OrderRefunded>, work: UnitOfWork) {
    return writeOrderMail(
      work,
      order,
      'order-refunded',
      (reader) => renderOrderRefunded(reader, order),
      'order-cancelled',
    );
  }
}

/**
 * Writes a mail in the language of the order, not in that of the sign-up.
 * @param before the kind of mail about this order that must be written first
 * @throws OutOfOrder if it is not: instances and retries can reorder events
 */
async function writeOrderMail(
  work: UnitOfWork,
  { orderId, memberId, language }: OrderEvent,
  kind: MailKind,
  render: (reader: Reader) => RenderedMail,
  before?: MailKind,
): Promise<void> {
  if (before && !(await work.tx.existsBy(Mail, { about: orderId, kind: before })))
    throw new OutOfOrder(`${kind} of order ${orderId} arrived before ${before}`);
  const member = await findMember(work.tx, memberId);
  await writeMail(work, member, kind, render({ language: toTextLanguage(language) }), orderId);
}
