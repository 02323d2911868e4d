import { type Violation, type FaultWindows } from './check.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';

/** How late a timer may fire in a store that nothing disturbs. */
const timerSlack = 6_000;

/** That every piece is where it should be. */
export function checkStock(
  log: readonly LoggedRequest[],
  facts: Facts,
  faultWindows: FaultWindows,
): Violation[] {
  const violations: Violation[] = [];
  const received = new Map<string, { sure: number; perhaps: number }>();
  for (const tries of Map.groupBy(log, ({ what, key }) => (what === 'receive' && key) || '').values()) {
    const { what, productId, quantity } = tries[0]!;
    if (what !== 'receive' || !productId) continue;
    const sum = received.get(productId) ?? { sure: 0, perhaps: 0 };
    if (tries.some(({ status }) => status === 201)) sum.sure += quantity!;
    else if (tries.some(({ status }) => status === undefined || status >= 500)) sum.perhaps += quantity!;
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
    const say = (rule: string, says: string) =>
      violations.push({ rule, says: `product ${productId}: ${says}` });
    const numbers = `${onHand} on hand + ${reserved} reserved + ${sold} sold of ${total}`;
    if (onHand + reserved + sold !== total) say('every piece is somewhere', numbers);
    if (Math.min(onHand, reserved, sold) < 0) say('stock is never negative', numbers);
    if (reserved !== 0) say('nothing stays reserved', numbers);
    if (sold !== (bought.get(productId) ?? 0))
      say('sold is what was bought', `${sold} are sold, ${bought.get(productId) ?? 0} were bought`);
    const { sure, perhaps } = received.get(productId) ?? { sure: 0, perhaps: 0 };
    if (total < sure || total > sure + perhaps)
      say(
        'what was received is there once',
        `${total} in the books, ${sure} acknowledged, ${perhaps} unanswered`,
      );
  }

  const reservations = new Map(facts.reservations.map((one) => [one.orderId, one]));
  for (const { orderId, events } of facts.orders) {
    const types = events.map(({ type }) => type);
    const status = reservations.get(orderId)?.status ?? 'none';
    const right = types.includes('cancelled')
      ? ['returned']
      : types.includes('rejected')
        ? ['returned', 'refused']
        : ['sold'];
    if (!right.includes(status))
      violations.push({
        rule: 'pieces go where the order went',
        orderId,
        says: `${types.join(' ')}, yet the pieces are ${status}`,
      });
  }
  return [...violations, ...checkExpiry(facts, faultWindows)];
}

/** Pieces that were held for too long were let go of, at the latest when nothing kept the store from it. */
function checkExpiry(facts: Facts, { isCalm }: FaultWindows): Violation[] {
  const inventory = facts.outbox.filter(({ service, subject }) => service === 'inventory' && subject);
  const said = Map.groupBy(inventory, ({ subject }) => subject!);
  return facts.reservations.flatMap(({ orderId, expiresAt }) => {
    if (expiresAt === null) return [];
    const about = said.get(orderId) ?? [];
    const at = (name: string) => about.find((row) => row.name === `inventory.${name}`)?.at;
    const letGo = at('stock-committed') ?? at('stock-returned') ?? facts.at;
    const late = letGo - expiresAt;
    const isDue = expiresAt + timerSlack < facts.at && isCalm(expiresAt, expiresAt + timerSlack);
    if (late < timerSlack || at('reservation-expired') || !isDue) return [];
    return [
      {
        rule: 'a reservation expires',
        orderId,
        says: `held ${Math.round(late / 1_000)} s longer than it may be`,
      },
    ];
  });
}
