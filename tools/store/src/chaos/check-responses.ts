import { type Violation, type FaultWindows } from '@jogakbo/chaos/src/violation.ts';
import { isRetryable } from './client.ts';
import { type PurchaseRequest } from './purchase-log.ts';
import { type OrderFact, type StoreFacts } from './store-facts.ts';

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

/** Whether the client should send the request again. */
const isTemporary = ({ status, code }: PurchaseRequest): boolean =>
  status === undefined || isRetryable({ status, ...(code && { code }) });
/** Whether the client has no reason to repeat the request. */
const isFinal = (request: PurchaseRequest): boolean => request.status !== 401 && !isTemporary(request);

/** Checks the responses: every request has one, and they are consistent, remain true and reveal no internals. */
export function checkResponses(
  log: readonly PurchaseRequest[],
  facts: StoreFacts,
  { isCalm }: FaultWindows,
): Violation[] {
  const ordersById = new Map(facts.orders.map((order) => [order.orderId, order]));
  const responses = log.filter((request) => !isTemporary(request));
  return [
    ...checkCompletion(log),
    ...log.flatMap((request) => checkAttempt(request, isCalm)),
    ...responses.flatMap((request) => checkResponse(request, ordersById)),
    ...checkKeys(responses, facts.orders),
  ];
}

/** Checks that every request got a final response in one of its attempts. */
function checkCompletion(log: readonly PurchaseRequest[]): Violation[] {
  const requests = Map.groupBy(
    log.filter(({ what }) => repeated.has(what)),
    ({ what, key, orderId }) => `${what} ${key ?? orderId}`,
  );
  return [...requests]
    .filter(([, attempts]) => !attempts.some(isFinal))
    .map(([request, attempts]) => ({
      rule: 'every request gets a final response',
      subject: attempts[0]!.orderId,
      detail: `${request}: ${attempts.length} attempts, the last got ${attempts.at(-1)!.status ?? attempts.at(-1)!.error}`,
    }));
}

/** Checks what holds for every attempt: a failure has a cause and reveals no internals, and stock is not negative. */
function checkAttempt(
  { at, took, what, orderId, status, text, error, available }: PurchaseRequest,
  isCalm: FaultWindows['isCalm'],
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: string, detail: string) => violations.push({ rule, subject: orderId, detail });
  if ((status === undefined || status >= 500) && isCalm(at, at + took))
    report(
      'no server error outside of fault windows',
      `${what} got ${status ?? error} at ${new Date(at).toISOString()}`,
    );
  if (text && internals.test(text)) report('an error reveals no internals', `${what} got ${status}: ${text}`);
  if (available !== undefined && available < 0)
    violations.push({ rule: 'stock is never negative', detail: `a client received ${available}` });
  return violations;
}

/** Checks that a response is expected and true. */
function checkResponse(
  { what, key, orderId, status, code, state }: PurchaseRequest,
  ordersById: ReadonlyMap<string, OrderFact>,
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: string, detail: string) => violations.push({ rule, subject: orderId, detail });
  if (!expected[what].includes(status!) && !(status === 401 && code === 'unauthenticated'))
    report('a valid request is not rejected', `${what} got ${status} ${code ?? ''} (key ${key})`);
  if (!orderId || status! >= 400 || !state) return violations;
  const order = ordersById.get(orderId);
  if (!order) report('an acknowledged order exists', `${what} received the status ${state}`);
  else if (!order.events.some(({ type }) => type === state))
    report(
      'a reported status stays true',
      `${what} received the status ${state}, but the order has no such event`,
    );
  return violations;
}

/** Checks that an Idempotency-Key leads to one answer and one order. */
function checkKeys(responses: readonly PurchaseRequest[], orders: readonly OrderFact[]): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: string, key: string, orderIds: string[]) =>
    violations.push({ rule, subject: orderIds[0], detail: `key ${key}: ${orderIds.join(', ')}` });
  const placed = responses.filter(({ what, key, orderId }) => what === 'place' && key && orderId);
  for (const [key, answers] of Map.groupBy(placed, (request) => request.key!)) {
    const orderIds = [...new Set(answers.map(({ orderId }) => orderId!))];
    if (orderIds.length > 1) report('one key, one answer', key, orderIds);
  }
  for (const [key, some] of Map.groupBy(orders, (order) => order.key))
    if (some.length > 1)
      report(
        'one key, one order',
        key,
        some.map(({ orderId }) => orderId),
      );
  return violations;
}
