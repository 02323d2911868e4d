import { checkAnswers } from './check-answers.ts';
import { checkMessages } from './check-messages.ts';
import { checkMoney } from './check-money.ts';
import { checkOrders } from './check-orders.ts';
import { checkReadModels } from './check-read-models.ts';
import { checkStock } from './check-stock.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';

/** Something that the store promises and did not keep. */
export interface Violation {
  /** The promise, in a few words. */
  rule: string;
  /** Of the order it is about, where it is about one. */
  orderId?: string | undefined;
  says: string;
}

/** What is known of the faults of a run. */
export interface FaultWindows {
  /** Whether nothing disturbed the store in this time. */
  isCalm: (from: number, until: number) => boolean;
  /** When the last fault was over (milliseconds). */
  lastFault: number;
}

/** What is broken once stays so: there is no use in looking again. */
const final = new Set([
  'one key, one order',
  'one key, one answer',
  'at most one capture',
  'no more is refunded than was captured',
  'what is captured is the total',
  'nothing is said twice',
  'in order per subject',
  'a step is taken once',
  'a declined card buys nothing',
  'a good card is not declined',
  'nothing is cancelled by itself',
  'an order holds what was asked',
  'a valid request is not refused',
  'every request is answered in the end',
  'no fault in a calm time',
  'a fault tells nothing of our insides',
  'what was told stays true',
  'nothing is dead',
]);

export const healsNever = ({ rule }: Violation): boolean => final.has(rule);

/** Holds what clients saw against what the system says about itself. Pure: it can be asked again and again. */
export function check(log: readonly LoggedRequest[], facts: Facts, faultWindows: FaultWindows): Violation[] {
  return [
    ...checkAnswers(log, facts, faultWindows),
    ...checkOrders(log, facts, faultWindows),
    ...checkStock(log, facts, faultWindows),
    ...checkMoney(facts),
    ...checkMessages(facts),
    ...checkReadModels(facts),
  ];
}

/** Everything that is known of one order, for somebody who has to find out what happened to it. */
export function collectEvidence(orderId: string, log: readonly LoggedRequest[], facts: Facts): unknown[] {
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
