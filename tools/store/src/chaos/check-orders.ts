import { type Violation, type FaultWindows } from '@jogakbo/chaos/src/violation.ts';
import { type PurchaseRequest } from './purchase-log.ts';
import { type Facts } from '@jogakbo/chaos/src/facts.ts';
import { type OrderFact, type StoreFacts } from './store-facts.ts';

/** Every valid sequence of order events. */
const validHistories = new Set([
  'placed confirmed',
  'placed rejected',
  'placed cancelled',
  'placed confirmed cancelled',
  'placed confirmed cancelled refunded',
]);

/** Checks that every order has one outcome, the right one, and one mail about it. */
export function checkOrders(
  log: readonly PurchaseRequest[],
  facts: Facts & StoreFacts,
  { lastFault }: FaultWindows,
): Violation[] {
  const violations: Violation[] = [];
  if (!facts.outbox.some(({ name, at }) => name === 'orders.order-confirmed' && at > lastFault))
    violations.push({
      rule: 'orders are confirmed after the last fault',
      detail: `none of ${facts.orders.length} orders was confirmed after the last fault`,
    });
  const placed = new Map(log.filter(({ what }) => what === 'place').map((e) => [e.key, e]));
  const cancels = Map.groupBy(
    log.filter(({ what }) => what === 'cancel'),
    ({ orderId }) => orderId,
  );
  const mails = Map.groupBy(facts.mails, ({ orderId }) => orderId);

  for (const order of facts.orders) {
    const { orderId, events, status } = order;
    const report = (rule: string, detail: string) => violations.push({ rule, subject: orderId, detail });
    const history = events.map(({ type }) => type).join(' ');
    if (!validHistories.has(history)) report('an order ends exactly once', `its events are: ${history}`);
    if (status !== events.at(-1)!.type)
      report('the order list has the current status', `${status} after: ${history}`);
    const request = placed.get(order.key);
    if (!request) report('an order has a request', `no client sent the key ${order.key}`);
    else violations.push(...checkOutcome(order, request, cancels.get(orderId)));
    for (const { type } of events) {
      if (type === 'placed') continue;
      const sent = (mails.get(orderId) ?? []).filter(({ kind }) => kind === `order-${type}`);
      if (sent.length !== 1) report('one mail per outcome', `${sent.length} mails for ${type}`);
    }
    for (const { kind, messageId, delivered } of mails.get(orderId) ?? []) {
      if (!events.some(({ type }) => kind === `order-${type}`)) report('no mail without its event', kind);
      if (delivered === 0) report('a mail is delivered', `${kind}: ${messageId} is in no mailbox`);
    }
  }
  return violations;
}

function checkOutcome(
  { orderId, events, lines }: OrderFact,
  request: PurchaseRequest,
  cancels: PurchaseRequest[] | undefined,
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: string, detail: string) => violations.push({ rule, subject: orderId, detail });
  const findEvent = (type: string) => events.find((event) => event.type === type);
  const isBadCard = request.token === 'tok_declined' || request.token === 'tok_insufficient_funds';
  const rejected = findEvent('rejected');
  if (isBadCard && findEvent('confirmed'))
    report('a declined card buys nothing', `it was paid with ${request.token}`);
  if (rejected && !isBadCard) report('a good card is not declined', `${request.token}: ${rejected.reason}`);
  if (cancels?.some(({ status }) => status === 202) && !findEvent('cancelled'))
    report('an accepted cancellation is carried out', 'it is not cancelled');
  if (!cancels && findEvent('cancelled'))
    report('an order is cancelled only on request', 'no client requested it');
  const [line] = lines;
  if (lines.length !== 1 || line?.productId !== request.productId || line?.quantity !== request.quantity)
    report(
      'an order has the requested lines',
      `${JSON.stringify(lines)} for ${request.quantity} of ${request.productId}`,
    );
  return violations;
}
