import { type Violation } from '@jogakbo/chaos/src/violation.ts';
import { type StoreFacts } from './store-facts.ts';

/** Checks that payments match orders, in the ledger and at the provider. */
export function checkMoney(facts: StoreFacts): Violation[] {
  const violations: Violation[] = [];
  const total = facts.ledger.reduce((sum, { amount }) => sum + amount, 0);
  if (total !== 0) violations.push({ rule: 'the ledger sums to zero', says: `it sums to ${total}` });

  const entries = Map.groupBy(facts.ledger, ({ orderId }) => orderId);
  const payments = new Map(facts.payments.map((payment) => [payment.orderId, payment]));
  const charges = Map.groupBy(facts.charges, ({ orderId }) => orderId);
  for (const { orderId, events, amount } of facts.orders) {
    const report = (rule: string, says: string) => violations.push({ rule, subject: orderId, says });
    const filterBySign = (sign: 1 | -1) =>
      (entries.get(orderId) ?? []).filter(
        ({ account, amount }) => account === 'provider-receivable' && Math.sign(amount) === sign,
      );
    const captures = filterBySign(1);
    const refunds = filterBySign(-1);
    const sum = (some: { amount: number }[]) => Math.abs(some.reduce((all, { amount }) => all + amount, 0));
    if (captures.length > 1) report('at most one capture', `${captures.length} captures`);
    if (sum(refunds) > sum(captures))
      report('refunds do not exceed captures', `${sum(refunds)} of ${sum(captures)}`);
    if (captures.some((capture) => capture.amount !== amount))
      report('the captured amount is the total', `${sum(captures)} for ${amount}`);

    const types = events.map(({ type }) => type);
    const status = payments.get(orderId)?.status ?? 'none';
    const cancelled = types.includes('cancelled');
    // A free order has no payment.
    const allowed =
      amount === 0
        ? ['none']
        : cancelled
          ? types.includes('refunded')
            ? ['refunded']
            : ['voided', 'returned', 'declined']
          : types.includes('confirmed')
            ? ['captured']
            : ['declined', 'voided', 'returned', 'none'];
    if (!allowed.includes(status))
      report('paid exactly if sold', `${types.join(' ')}, yet the payment is ${status}`);
    const expected = { captured: [1, 0], refunded: [1, 1] }[status] ?? [0, 0];
    if (captures.length !== expected[0] || refunds.length !== expected[1])
      report(
        'the ledger has every movement',
        `${status} with ${captures.length} captures and ${refunds.length} refunds`,
      );

    const charged = (charges.get(orderId) ?? []).map((charge) => charge.status);
    const matching = {
      captured: ['captured'],
      refunded: ['refunded'],
      declined: ['declined'],
      voided: ['voided'],
    }[status] ?? ['voided', 'declined'];
    const moved = ['captured', 'refunded'].includes(status);
    const isMissing = moved && charged.length === 0;
    if (
      status !== 'none' &&
      (isMissing || charged.length > 1 || charged.some((one) => !matching.includes(one)))
    )
      report(
        'the provider has the same status',
        `the payment is ${status}, the provider has ${charged.join(', ') || 'none'}`,
      );
  }
  for (const { orderId, status, amount } of facts.charges) {
    if (orderId === null && ['authorized', 'captured'].includes(status))
      violations.push({
        rule: 'no charge without a payment',
        says: `the provider has ${status} ${amount} without a payment`,
      });
  }
  return violations;
}
