import { checkAnswers } from './check-answers.ts';
import { checkMessages } from './check-messages.ts';
import { checkMoney } from './check-money.ts';
import { checkOrders } from './check-orders.ts';
import { checkReadModels } from './check-read-models.ts';
import { checkStock } from './check-stock.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';

/** A rule that did not hold. */
export interface Violation {
  /** Short name of the rule. */
  rule: string;
  /** Undefined if the violation concerns no single order. */
  orderId?: string | undefined;
  says: string;
}

/** When the faults of a run were active. */
export interface FaultWindows {
  /** Whether no fault was active or recent in this time (milliseconds since the epoch). */
  isCalm: (from: number, until: number) => boolean;
  /** When the last fault ended (milliseconds since the epoch). */
  lastFault: number;
}

/** Violations of these rules do not disappear with time. */
const permanent = new Set([
  'one key, one order',
  'one key, one answer',
  'at most one capture',
  'refunds do not exceed captures',
  'the captured amount is the total',
  'no message is published twice',
  'in order per subject',
  'a saga step runs once',
  'a declined card buys nothing',
  'a good card is not declined',
  'an order is cancelled only on request',
  'an order has the requested lines',
  'a valid request is not rejected',
  'every request gets a final response',
  'no server error outside of fault windows',
  'an error reveals no internals',
  'a reported status stays true',
  'no dead letters',
]);

export const isPermanent = ({ rule }: Violation): boolean => permanent.has(rule);

/** Compares the log of the clients with the state of the store. A pure function. */
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

/** All facts about one order, for the analysis of a violation. */
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
