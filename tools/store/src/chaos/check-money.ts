import { type Violation } from '@jogakbo/chaos/src/violation.ts';
import { type OrderFact, type StoreFacts } from './store-facts.ts';

type Report = (rule: string, detail: string) => void;
type LedgerEntry = StoreFacts['ledger'][number];
type Charge = StoreFacts['charges'][number];

/** Checks that payments match orders, in the ledger and at the provider. */
export function checkMoney(facts: StoreFacts): Violation[] {
  const violations: Violation[] = [];
  const total = facts.ledger.reduce((sum, { amount }) => sum + amount, 0);
  if (total !== 0) violations.push({ rule: 'the ledger sums to zero', detail: `it sums to ${total}` });

  const entries = Map.groupBy(facts.ledger, ({ orderId }) => orderId);
  const payments = new Map(facts.payments.map((payment) => [payment.orderId, payment]));
  const charges = Map.groupBy(facts.charges, ({ orderId }) => orderId);
  for (const order of facts.orders) {
    const { orderId } = order;
    const report: Report = (rule, detail) => violations.push({ rule, subject: orderId, detail });
    const status = payments.get(orderId)?.status ?? 'none';
    checkPayment(order, status, report);
    checkLedger(order, status, entries.get(orderId) ?? [], report);
    checkCharges(status, charges.get(orderId) ?? [], report);
  }
  for (const { orderId, status, amount } of facts.charges) {
    if (orderId === null && ['authorized', 'captured'].includes(status))
      violations.push({
        rule: 'no charge without a payment',
        detail: `the provider has ${status} ${amount} without a payment`,
      });
  }
  return violations;
}

function checkPayment(order: OrderFact, status: string, report: Report): void {
  if (listAllowedStatuses(order).includes(status)) return;
  const types = order.events.map(({ type }) => type).join(' ');
  report('paid exactly if sold', `${types}, yet the payment is ${status}`);
}

/** Statuses that the payment of an order may have at the end. */
function listAllowedStatuses({ events, amount }: OrderFact): string[] {
  const hasEvent = (type: string) => events.some((event) => event.type === type);
  // A free order has no payment.
  if (amount === 0) return ['none'];
  if (hasEvent('cancelled')) return hasEvent('refunded') ? ['refunded'] : ['voided', 'returned', 'declined'];
  return hasEvent('confirmed') ? ['captured'] : ['declined', 'voided', 'returned', 'none'];
}

/** Checks the entries of one order. */
function checkLedger({ amount }: OrderFact, status: string, entries: LedgerEntry[], report: Report): void {
  const filterBySign = (sign: 1 | -1) =>
    entries.filter((one) => one.account === 'provider-receivable' && Math.sign(one.amount) === sign);
  const sum = (some: LedgerEntry[]) => Math.abs(some.reduce((all, one) => all + one.amount, 0));
  const captures = filterBySign(1);
  const refunds = filterBySign(-1);
  if (captures.length > 1) report('at most one capture', `${captures.length} captures`);
  if (sum(refunds) > sum(captures))
    report('refunds do not exceed captures', `${sum(refunds)} of ${sum(captures)}`);
  if (captures.some((capture) => capture.amount !== amount))
    report('the captured amount is the total', `${sum(captures)} for ${amount}`);
  const expected = { captured: [1, 0], refunded: [1, 1] }[status] ?? [0, 0];
  if (captures.length !== expected[0] || refunds.length !== expected[1])
    report(
      'the ledger has every movement',
      `${status} with ${captures.length} captures and ${refunds.length} refunds`,
    );
}

/** Checks the charges of the provider for one order. */
function checkCharges(status: string, charges: Charge[], report: Report): void {
  if (status === 'none') return;
  const statuses = charges.map((charge) => charge.status);
  const isSettled = ['captured', 'refunded'].includes(status);
  const matching =
    isSettled || status === 'declined' || status === 'voided' ? [status] : ['voided', 'declined'];
  const isMissing = isSettled && statuses.length === 0;
  if (isMissing || statuses.length > 1 || statuses.some((one) => !matching.includes(one)))
    report(
      'the provider has the same status',
      `the payment is ${status}, the provider has ${statuses.join(', ') || 'none'}`,
    );
}
