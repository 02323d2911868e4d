import { checkAnswers } from './check-answers.ts';
import { checkMessages } from './check-messages.ts';
import { checkMoney } from './check-money.ts';
import { checkOrders } from './check-orders.ts';
import { checkStock } from './check-stock.ts';
import { type Exchange } from './client-log.ts';
import { type Facts } from './facts.ts';

/** Something that the store promises and did not keep. */
export interface Violation {
  /** The promise, in a few words. */
  rule: string;
  /** Of the order it is about, where it is about one. */
  orderId?: string | undefined;
  says: string;
}

/** Of a time of which it is known that nothing disturbed the store. */
export type IsCalm = (from: number, until: number) => boolean;

/** Holds what clients saw against what the system says about itself. Pure: it can be asked again and again. */
export function check(log: readonly Exchange[], facts: Facts, isCalm: IsCalm): Violation[] {
  return [
    ...checkAnswers(log, facts),
    ...checkOrders(log, facts),
    ...checkStock(log, facts, isCalm),
    ...checkMoney(facts),
    ...checkMessages(facts),
  ];
}

/** Everything that is known of one order, for somebody who has to find out what happened to it. */
export function evidenceOf(orderId: string, log: readonly Exchange[], facts: Facts): unknown[] {
  const about = <T extends { orderId?: string | null | undefined }>(kind: string, rows: readonly T[]) =>
    rows.filter((row) => row.orderId === orderId).map((row) => ({ [kind]: row }));
  const order = facts.orders.find((one) => one.orderId === orderId);
  return [
    ...about('order', facts.orders),
    ...log
      .filter((e) => e.orderId === orderId || (e.key && e.key === order?.key))
      .map((client) => ({ client })),
    ...about('saga', facts.sagas),
    ...about('reservation', facts.reservations),
    ...about('payment', facts.payments),
    ...about('charge', facts.charges),
    ...about('ledger', facts.ledger),
    ...about('mail', facts.mails),
    ...facts.outbox.filter(({ subject }) => subject === orderId).map((outbox) => ({ outbox })),
    ...facts.deadLetters.filter(({ payload }) => payload.includes(orderId)).map((dead) => ({ dead })),
  ];
}
