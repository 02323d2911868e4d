import { type Violation, type FaultWindows } from './check.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts, type OrderFact } from './facts.ts';

/** Every way through an order's life that there is. */
const lives = new Set([
  'placed confirmed',
  'placed rejected',
  'placed cancelled',
  'placed confirmed cancelled',
  'placed confirmed cancelled refunded',
]);

/** That every order has come to one end, the right one, and that its member has heard of it once. */
export function checkOrders(
  log: readonly LoggedRequest[],
  facts: Facts,
  { lastFault }: FaultWindows,
): Violation[] {
  const violations: Violation[] = [];
  if (!facts.outbox.some(({ name, at }) => name === 'orders.order-confirmed' && at > lastFault))
    violations.push({
      rule: 'the store sells again',
      says: `of ${facts.orders.length} orders none was confirmed after the last fault`,
    });
  const placed = new Map(log.filter(({ what }) => what === 'place').map((e) => [e.key, e]));
  const cancels = Map.groupBy(
    log.filter(({ what }) => what === 'cancel'),
    ({ orderId }) => orderId,
  );
  const mails = Map.groupBy(facts.mails, ({ orderId }) => orderId);

  for (const order of facts.orders) {
    const { orderId, events, status } = order;
    const say = (rule: string, says: string) => violations.push({ rule, orderId, says });
    const life = events.map(({ type }) => type).join(' ');
    if (!lives.has(life)) say('an order ends exactly once', `its life is: ${life}`);
    if (status !== events.at(-1)!.type) say('an order is listed as it is', `${status} after: ${life}`);
    const asked = placed.get(order.key);
    if (!asked) say('an order is one that somebody placed', `nobody sent the key ${order.key}`);
    else violations.push(...ofTheEnd(order, asked, cancels.get(orderId)));
    for (const { type } of events) {
      if (type === 'placed') continue;
      const told = (mails.get(orderId) ?? []).filter(({ kind }) => kind === `order-${type}`);
      if (told.length !== 1) say('one mail for each end', `${told.length} mails that it is ${type}`);
    }
    for (const { kind, messageId, delivered } of mails.get(orderId) ?? []) {
      if (!events.some(({ type }) => kind === `order-${type}`)) say('no mail of what did not happen', kind);
      if (delivered === 0) say('a mail arrives', `${kind}: ${messageId} is in no mailbox`);
    }
  }
  for (const { name, orderId, steps, ended } of facts.sagas) {
    if (!ended)
      violations.push({ rule: 'a saga ends', orderId, says: `${name} stands after ${steps.join(', ')}` });
    if (new Set(steps).size < steps.length)
      violations.push({ rule: 'a step is taken once', orderId, says: `${name}: ${steps.join(', ')}` });
  }
  return violations;
}

function ofTheEnd(
  { orderId, events, lines }: OrderFact,
  asked: LoggedRequest,
  cancels: LoggedRequest[] | undefined,
): Violation[] {
  const violations: Violation[] = [];
  const say = (rule: string, says: string) => violations.push({ rule, orderId, says });
  const ended = (type: string) => events.find((event) => event.type === type);
  const bad = asked.token === 'tok_declined' || asked.token === 'tok_insufficient_funds';
  const rejected = ended('rejected');
  if (bad && ended('confirmed')) say('a declined card buys nothing', `it was paid with ${asked.token}`);
  if (rejected && !bad) say('a good card is not declined', `${asked.token}: ${rejected.reason}`);
  if (cancels?.some(({ status }) => status === 202) && !ended('cancelled'))
    say('a cancellation that was taken is done', 'it is not cancelled');
  if (!cancels && ended('cancelled')) say('nothing is cancelled by itself', 'nobody asked for it');
  const [line] = lines;
  if (lines.length !== 1 || line?.productId !== asked.productId || line?.quantity !== asked.quantity)
    say(
      'an order holds what was asked',
      `${JSON.stringify(lines)} for ${asked.quantity} of ${asked.productId}`,
    );
  return violations;
}
