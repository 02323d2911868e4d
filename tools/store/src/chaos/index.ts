import { type ChaosModule } from '@jogakbo/chaos/src/chaos-module.ts';
import { checkMoney } from './check-money.ts';
import { checkOrders } from './check-orders.ts';
import { checkReadModels } from './check-read-models.ts';
import { checkResponses } from './check-responses.ts';
import { checkStock } from './check-stock.ts';
import { mutants } from './mutants.ts';
import { type PurchaseRequest } from './purchase-log.ts';
import { Purchases } from './purchases.ts';
import { readStoreFacts, type StoreFacts } from './store-facts.ts';

const permanentRules = [
  'one key, one order',
  'one key, one answer',
  'at most one capture',
  'refunds do not exceed captures',
  'the captured amount is the total',
  'a declined card buys nothing',
  'a good card is not declined',
  'an order is cancelled only on request',
  'an order has the requested lines',
  'a valid request is not rejected',
  'every request gets a final response',
  'no server error outside of fault windows',
  'an error reveals no internals',
  'a reported status stays true',
];

/** Payments delays a command that has to wait for other requests of the member. */
const delayedPayment = /^payments\.(authorize|capture|return)-payment$/;

/** All facts about one order. */
function collectEvidence(
  orderId: string,
  requests: readonly PurchaseRequest[],
  facts: StoreFacts,
): unknown[] {
  const about = <T extends { orderId?: string | null | undefined }>(kind: string, rows: readonly T[]) =>
    rows.filter((row) => row.orderId === orderId).map((row) => ({ [kind]: row }));
  const order = facts.orders.find((one) => one.orderId === orderId);
  return [
    ...about('order', facts.orders),
    ...requests
      .filter((one) => one.orderId === orderId || (one.key && one.key === order?.key))
      .map((client) => ({ client })),
    ...about('reservation', facts.reservations),
    ...about('payment', facts.payments),
    ...about('charge', facts.charges),
    ...about('ledger', facts.ledger),
    ...about('mail', facts.mails),
  ];
}

function formatProgress(requests: readonly PurchaseRequest[]): string {
  const placed = requests.filter(({ what, orderId }) => what === 'place' && orderId);
  return `${new Set(placed.map(({ orderId }) => orderId)).size} purchases`;
}

function summarize(requests: readonly PurchaseRequest[], { orders }: StoreFacts): string[] {
  const tokens = new Map(requests.flatMap(({ key, token }) => (key && token ? [[key, token]] : [])));
  const used = orders.map(({ key, amount }) => tokens.get(key) ?? (amount === 0 ? 'nothing' : 'unknown'));
  const counts = [...Map.groupBy(used, (token) => token)].map(([token, all]) => `${token} ${all.length}`);
  return [`${orders.length} orders, paid with: ${counts.join(', ')}`];
}

/** Members buy, cancel, pay with bad cards and repeat requests. Then orders, money, stock and mails have to match. */
export default {
  // Short reservations and a slow provider, so that both timeouts occur within a run.
  settings: { RESERVATION_MINUTES: '0.1', SANDBOX_DELAY: '16000' },
  createWorkload: (options) => new Purchases(options),
  readFacts: readStoreFacts,
  check: (requests, facts, faultWindows) => [
    ...checkResponses(requests, facts, faultWindows),
    ...checkOrders(requests, facts, faultWindows),
    ...checkStock(requests, facts, faultWindows),
    ...checkMoney(facts),
    ...checkReadModels(facts),
  ],
  permanentRules,
  listSubjects: ({ orders }) => new Set(orders.map(({ orderId }) => orderId)),
  isDelayed: ({ service, name }) =>
    name === 'inventory.expire-reservation' || (service === 'payments' && delayedPayment.test(name)),
  repeatable: new Set(['payments.return-payment']),
  collectEvidence,
  formatProgress,
  summarize,
  mutants,
  busyServices: ['orders', 'inventory'],
} satisfies ChaosModule<PurchaseRequest, StoreFacts>;
