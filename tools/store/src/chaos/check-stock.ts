import { type Violation, type FaultWindows } from '@jogakbo/chaos/src/violation.ts';
import { type PurchaseRequest } from './purchase-log.ts';
import { type Facts } from '@jogakbo/chaos/src/facts.ts';
import { type StoreFacts } from './store-facts.ts';

/** How late a timer may fire outside of fault windows. */
const timerToleranceMs = 6_000;

/** Checks that the stock matches the orders, reservations and receipts. */
export function checkStock(
  log: readonly PurchaseRequest[],
  facts: Facts & StoreFacts,
  faultWindows: FaultWindows,
): Violation[] {
  const violations: Violation[] = [];
  const received = new Map<string, { confirmed: number; unknown: number }>();
  for (const tries of Map.groupBy(log, ({ what, key }) => (what === 'receive' && key) || '').values()) {
    const { what, productId, quantity } = tries[0]!;
    if (what !== 'receive' || !productId) continue;
    const sum = received.get(productId) ?? { confirmed: 0, unknown: 0 };
    if (tries.some(({ status }) => status === 201)) sum.confirmed += quantity!;
    else if (tries.some(({ status }) => status === undefined || status >= 500)) sum.unknown += quantity!;
    received.set(productId, sum);
  }

  const bought = new Map<string, number>();
  for (const { events, lines } of facts.orders) {
    const types = events.map(({ type }) => type);
    if (!types.includes('confirmed') || types.includes('cancelled')) continue;
    for (const { productId, quantity } of lines)
      bought.set(productId, (bought.get(productId) ?? 0) + quantity);
  }

  for (const { productId, onHand, reserved, sold, received: total } of facts.stock) {
    const report = (rule: string, detail: string) =>
      violations.push({ rule, detail: `product ${productId}: ${detail}` });
    const numbers = `${onHand} on hand + ${reserved} reserved + ${sold} sold of ${total}`;
    if (onHand + reserved + sold !== total) report('on hand, reserved and sold add up to received', numbers);
    if (Math.min(onHand, reserved, sold) < 0) report('stock is never negative', numbers);
    if (reserved !== 0) report('no stock stays reserved', numbers);
    if (sold !== (bought.get(productId) ?? 0))
      report('sold equals bought', `${sold} sold, ${bought.get(productId) ?? 0} bought`);
    const { confirmed, unknown } = received.get(productId) ?? { confirmed: 0, unknown: 0 };
    if (total < confirmed || total > confirmed + unknown)
      report(
        'a receipt is booked once',
        `${total} received, ${confirmed} acknowledged, ${unknown} without a response`,
      );
  }

  const reservations = new Map(facts.reservations.map((one) => [one.orderId, one]));
  for (const { orderId, events } of facts.orders) {
    const types = events.map(({ type }) => type);
    const status = reservations.get(orderId)?.status ?? 'none';
    const allowed = types.includes('cancelled')
      ? ['returned']
      : types.includes('rejected')
        ? ['returned', 'refused']
        : ['sold'];
    if (!allowed.includes(status))
      violations.push({
        rule: 'the reservation matches the order',
        subject: orderId,
        detail: `${types.join(' ')}, yet the reservation is ${status}`,
      });
  }
  return [...violations, ...checkExpiry(facts, faultWindows)];
}

/** Checks that reservations were released on time, if no fault could have delayed it. */
function checkExpiry(facts: Facts & StoreFacts, { isCalm }: FaultWindows): Violation[] {
  const inventory = facts.outbox.filter(({ service, subject }) => service === 'inventory' && subject);
  const rowsByOrder = Map.groupBy(inventory, ({ subject }) => subject!);
  return facts.reservations.flatMap(({ orderId, expiresAt }) => {
    if (expiresAt === null) return [];
    const rows = rowsByOrder.get(orderId) ?? [];
    const findTime = (name: string) => rows.find((row) => row.name === `inventory.${name}`)?.at;
    const releasedAt = findTime('stock-committed') ?? findTime('stock-returned') ?? facts.at;
    const delayMs = releasedAt - expiresAt;
    const isDue = expiresAt + timerToleranceMs < facts.at && isCalm(expiresAt, expiresAt + timerToleranceMs);
    if (delayMs < timerToleranceMs || findTime('reservation-expired') || !isDue) return [];
    return [
      {
        rule: 'a reservation expires',
        subject: orderId,
        detail: `held ${Math.round(delayMs / 1_000)} s too long`,
      },
    ];
  });
}
