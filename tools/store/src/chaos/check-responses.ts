import { type Violation, type FaultWindows } from '@jogakbo/chaos/src/violation.ts';
import { isRetryable } from './client.ts';
import { type PurchaseRequest } from './purchase-log.ts';
import { type StoreFacts } from './store-facts.ts';

/** Internals that an error response must not reveal. */
const internals =
  /\n\s+at |node_modules|postgres(ql)?:\/\/|amqps?:\/\/|QueryFailedError|ECONNREFUSED|SELECT |INSERT |UPDATE /;
const expected: Record<PurchaseRequest['what'], number[]> = {
  place: [201, 202],
  cancel: [202, 409, 422],
  receive: [201, 404],
  'read-order': [200, 401],
  'read-orders': [200, 401],
  'read-stock': [200, 401],
};

/** Clients repeat these requests until they get a final response. */
const repeated = new Set<PurchaseRequest['what']>(['place', 'cancel', 'receive']);

/** Whether the client has no reason to repeat the request. */
const isFinal = ({ status, code }: PurchaseRequest): boolean =>
  status !== undefined && status !== 401 && !isRetryable({ status, ...(code && { code }) });

/** Checks the responses: every request has one, and they are consistent, remain true and reveal no internals. */
export function checkResponses(
  log: readonly PurchaseRequest[],
  facts: StoreFacts,
  { isCalm }: FaultWindows,
): Violation[] {
  const violations: Violation[] = [];
  const byKey = Map.groupBy(facts.orders, ({ key }) => key);
  const ordersById = new Map(facts.orders.map((order) => [order.orderId, order]));
  const orderIdsByKey = new Map<string, Set<string>>();

  const requests = Map.groupBy(
    log.filter(({ what }) => repeated.has(what)),
    ({ what, key, orderId }) => `${what} ${key ?? orderId}`,
  );
  for (const [request, tries] of requests) {
    if (!tries.some(isFinal))
      violations.push({
        rule: 'every request gets a final response',
        subject: tries[0]!.orderId,
        says: `${request}: ${tries.length} attempts, the last got ${tries.at(-1)!.status ?? tries.at(-1)!.error}`,
      });
  }

  for (const { at, took, what, key, orderId, status, code, state, text, error, available } of log) {
    if ((status === undefined || status >= 500) && isCalm(at, at + took))
      violations.push({
        rule: 'no server error outside of fault windows',
        subject: orderId,
        says: `${what} got ${status ?? error} at ${new Date(at).toISOString()}`,
      });
    if (text && internals.test(text)) {
      violations.push({
        rule: 'an error reveals no internals',
        subject: orderId,
        says: `${what} got ${status}: ${text}`,
      });
    }
    if (available !== undefined && available < 0)
      violations.push({ rule: 'stock is never negative', says: `a client received ${available}` });
    if (status === undefined || isRetryable({ status, ...(code && { code }) })) continue;
    if (!expected[what].includes(status) && !(status === 401 && code === 'unauthenticated'))
      violations.push({
        rule: 'a valid request is not rejected',
        subject: orderId,
        says: `${what} got ${status} ${code ?? ''} (key ${key})`,
      });
    if (what === 'place' && key && orderId)
      orderIdsByKey.set(key, (orderIdsByKey.get(key) ?? new Set()).add(orderId));
    if (orderId && status < 400 && state) {
      const order = ordersById.get(orderId);
      if (!order)
        violations.push({
          rule: 'an acknowledged order exists',
          subject: orderId,
          says: `${what} received the status ${state}`,
        });
      else if (!order.events.some(({ type }) => type === state))
        violations.push({
          rule: 'a reported status stays true',
          subject: orderId,
          says: `${what} received the status ${state}, but the order has no such event`,
        });
    }
  }
  for (const [key, orderIds] of orderIdsByKey) {
    if (orderIds.size > 1)
      violations.push({
        rule: 'one key, one answer',
        subject: [...orderIds][0],
        says: `key ${key}: ${[...orderIds].join(', ')}`,
      });
  }
  for (const [key, orders] of byKey) {
    if (orders.length > 1) {
      const says = `key ${key}: ${orders.map(({ orderId }) => orderId).join(', ')}`;
      violations.push({ rule: 'one key, one order', subject: orders[0]!.orderId, says });
    }
  }
  return violations;
}
