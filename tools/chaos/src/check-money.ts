import { type Violation } from './check.ts';
import { type Facts } from './facts.ts';

/** That money moved exactly where goods did, in our books and in those of the provider. */
export function checkMoney(facts: Facts): Violation[] {
  const violations: Violation[] = [];
  const total = facts.ledger.reduce((sum, { amount }) => sum + amount, 0);
  if (total !== 0) violations.push({ rule: 'the ledger sums to zero', says: `it sums to ${total}` });

  const entries = Map.groupBy(facts.ledger, ({ orderId }) => orderId);
  const payments = new Map(facts.payments.map((payment) => [payment.orderId, payment]));
  const charges = Map.groupBy(facts.charges, ({ orderId }) => orderId);
  for (const { orderId, events, amount } of facts.orders) {
    const say = (rule: string, says: string) => violations.push({ rule, orderId, says });
    const of = (sign: 1 | -1) =>
      (entries.get(orderId) ?? []).filter(
        ({ account, amount }) => account === 'provider-receivable' && Math.sign(amount) === sign,
      );
    const captures = of(1);
    const refunds = of(-1);
    const sum = (of: { amount: number }[]) => Math.abs(of.reduce((all, { amount }) => all + amount, 0));
    if (captures.length > 1) say('at most one capture', `${captures.length} captures`);
    if (sum(refunds) > sum(captures))
      say('no more is refunded than was captured', `${sum(refunds)} of ${sum(captures)}`);
    if (captures.some((capture) => capture.amount !== amount))
      say('what is captured is the total', `${sum(captures)} for ${amount}`);

    const types = events.map(({ type }) => type);
    const status = payments.get(orderId)?.status ?? 'none';
    const cancelled = types.includes('cancelled');
    // Payments is not asked for anything where the total is 0.
    const right =
      amount === 0
        ? ['none']
        : cancelled
          ? types.includes('refunded')
            ? ['refunded']
            : ['voided', 'returned', 'declined']
          : types.includes('confirmed')
            ? ['captured']
            : ['declined', 'voided', 'returned', 'none'];
    if (!right.includes(status))
      say('paid exactly if sold', `${types.join(' ')}, yet the payment is ${status}`);
    const wanted = { captured: [1, 0], refunded: [1, 1] }[status] ?? [0, 0];
    if (captures.length !== wanted[0] || refunds.length !== wanted[1])
      say(
        'the ledger knows every movement',
        `${status} with ${captures.length} captures and ${refunds.length} refunds`,
      );

    const held = (charges.get(orderId) ?? []).map((charge) => charge.status);
    const agrees = {
      captured: ['captured'],
      refunded: ['refunded'],
      declined: ['declined'],
      voided: ['voided'],
    }[status] ?? ['voided', 'declined'];
    const moved = ['captured', 'refunded'].includes(status);
    const tooFew = moved && held.length === 0;
    if (status !== 'none' && (tooFew || held.length > 1 || held.some((one) => !agrees.includes(one))))
      say('the provider agrees', `ours is ${status}, the provider's ${held.join(', ') || 'none'}`);
  }
  for (const { orderId, status, amount } of facts.charges) {
    if (orderId === null && ['authorized', 'captured'].includes(status))
      violations.push({
        rule: 'no charge without a payment',
        says: `the provider has ${status} ${amount}, we know of nothing`,
      });
  }
  return violations;
}
