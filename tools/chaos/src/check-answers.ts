import { type Violation, type FaultWindows } from './check.ts';
import { isNotNow } from './client.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';

/** What would tell a stranger about our insides. */
const leaks =
  /\n\s+at |node_modules|postgres(ql)?:\/\/|amqps?:\/\/|QueryFailedError|ECONNREFUSED|SELECT |INSERT |UPDATE /;
const expected: Record<LoggedRequest['what'], number[]> = {
  place: [201, 202],
  cancel: [202, 409, 422],
  receive: [201, 404],
  'read-order': [200, 401],
  'read-orders': [200, 401],
  'read-stock': [200, 401],
};

/** These are asked until there is an answer. */
const insistent = new Set<LoggedRequest['what']>(['place', 'cancel', 'receive']);

/** An answer that leaves nothing to ask for. */
const isAnswer = ({ status, code }: LoggedRequest): boolean =>
  status !== undefined && status !== 401 && !isNotNow({ status, ...(code && { code }) });

/** What clients were told: that it is consistent, true afterwards, and silent about our insides; and that it came. */
export function checkAnswers(
  log: readonly LoggedRequest[],
  facts: Facts,
  { isCalm }: FaultWindows,
): Violation[] {
  const violations: Violation[] = [];
  const byKey = Map.groupBy(facts.orders, ({ key }) => key);
  const known = new Map(facts.orders.map((order) => [order.orderId, order]));
  const told = new Map<string, Set<string>>();

  const requests = Map.groupBy(
    log.filter(({ what }) => insistent.has(what)),
    ({ what, key, orderId }) => `${what} ${key ?? orderId}`,
  );
  for (const [request, tries] of requests) {
    if (!tries.some(isAnswer))
      violations.push({
        rule: 'every request is answered in the end',
        orderId: tries[0]!.orderId,
        says: `${request}: ${tries.length} tries, the last got ${tries.at(-1)!.status ?? tries.at(-1)!.error}`,
      });
  }

  for (const { at, took, what, key, orderId, status, code, state, text, error, available } of log) {
    if ((status === undefined || status >= 500) && isCalm(at, at + took))
      violations.push({
        rule: 'no fault in a calm time',
        orderId,
        says: `${what} got ${status ?? error} at ${new Date(at).toISOString()}`,
      });
    if (text && leaks.test(text)) {
      violations.push({
        rule: 'a fault tells nothing of our insides',
        orderId,
        says: `${what} got ${status}: ${text}`,
      });
    }
    if (available !== undefined && available < 0)
      violations.push({ rule: 'stock is never negative', says: `a client was told ${available}` });
    if (status === undefined || isNotNow({ status, ...(code && { code }) })) continue;
    if (!expected[what].includes(status) && !(status === 401 && code === 'unauthenticated'))
      violations.push({
        rule: 'a valid request is not refused',
        orderId,
        says: `${what} got ${status} ${code ?? ''} (key ${key})`,
      });
    if (what === 'place' && key && orderId) told.set(key, (told.get(key) ?? new Set()).add(orderId));
    if (orderId && status < 400 && state) {
      const order = known.get(orderId);
      if (!order)
        violations.push({ rule: 'an acknowledged order exists', orderId, says: `${what} was told ${state}` });
      else if (!order.events.some(({ type }) => type === state))
        violations.push({
          rule: 'what was told stays true',
          orderId,
          says: `${what} was told ${state}, which never happened`,
        });
    }
  }
  for (const [key, orderIds] of told) {
    if (orderIds.size > 1)
      violations.push({
        rule: 'one key, one answer',
        orderId: [...orderIds][0],
        says: `key ${key}: ${[...orderIds].join(', ')}`,
      });
  }
  for (const [key, orders] of byKey) {
    if (orders.length > 1) {
      const says = `key ${key}: ${orders.map(({ orderId }) => orderId).join(', ')}`;
      violations.push({ rule: 'one key, one order', orderId: orders[0]!.orderId, says });
    }
  }
  return violations;
}
