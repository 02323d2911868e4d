import { createHash } from 'node:crypto';
import { aggregate } from '@jogakbo/consistency/aggregate';
import { OutOfOrder } from '@jogakbo/consistency/out-of-order';
import type { Money } from '@jogakbo/contracts-commerce';
import {
  CapturePayment,
  PaymentAuthorized,
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  PaymentVoided,
  type PaymentStatus as PublicStatus,
} from '@jogakbo/contracts-payments';
import type { z } from 'zod';
import type { Charge, Reference } from './provider.ts';

/** `returned`: the order ended before its payment was authorized, and no authorization will follow. */
export type PaymentStatus = z.infer<typeof PublicStatus> | 'returned';

/** The events of a payment. The event store keeps them instead of the state. */
export type PaymentEvent =
  | ({ type: 'authorized'; reference: string } & PaymentDetails)
  | ({ type: 'declined'; reason: string } & PaymentDetails)
  | { type: 'captured' | 'voided' | 'refunded' | 'returned' };

/** The payer and the amount of a payment. */
export interface PaymentDetails {
  memberId: string;
  amount: Money;
  /** Whether the sandbox was the provider and no money moved. Missing in payments older than this field. */
  sandbox?: boolean;
}

export interface Payment extends Partial<PaymentDetails> {
  status: PaymentStatus;
  /** The order ended before its payment was authorized: a later authorization is not published. */
  unwanted: boolean;
  reference?: string;
}

/** Returns the state after an event. */
export function evolve(payment: Payment | undefined, event: PaymentEvent): Payment {
  const unwanted = payment?.unwanted === true || event.type === 'returned';
  if (event.type === 'authorized') {
    const { type: status, ...rest } = event;
    return { status, unwanted, ...rest };
  }
  if (event.type === 'declined') {
    const { type: status, reason: _, ...details } = event;
    return { status, unwanted, ...details };
  }
  return { ...payment, status: event.type, unwanted };
}

/** Stored under the id of its order: one payment per order. */
export const payment = aggregate<Payment, PaymentEvent>('payment', {
  evolve,
  toPublicEvent(orderId, state, event) {
    const ids = { orderId, paymentId: toPaymentId(orderId) };
    switch (event.type) {
      case 'authorized':
        return state.unwanted ? undefined : PaymentAuthorized({ ...ids, amount: event.amount });
      case 'declined':
        return PaymentDeclined({ ...ids, reason: event.reason });
      case 'captured':
        return PaymentCaptured({ ...ids, amount: state.amount! });
      case 'voided':
        return PaymentVoided(ids);
      case 'refunded':
        return PaymentRefunded({ ...ids, amount: state.amount! });
      case 'returned':
        return undefined;
    }
  },
});

/**
 * Derives the payment id from the order id: every attempt, before and after a crash, sends the same idempotency key.
 * A version 8 UUID from a SHA-256 (RFC 9562, B.2).
 */
export function toPaymentId(orderId: string): string {
  const bytes = createHash('sha256').update(`payment of order ${orderId}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Whether a payment can be captured now. @throws OutOfOrder if it is not authorized yet @throws Rejection if it is declined */
export function canCapture(status: PaymentStatus | undefined): boolean {
  if (status === undefined) throw new OutOfOrder('the payment is not authorized yet');
  if (status === 'declined')
    throw CapturePayment.reject('payment-declined', 'a declined payment cannot be captured');
  return status === 'authorized';
}

/** The provider call that returns the money of an order; undefined if there is none to return. */
export function getReturnStep(status: PaymentStatus | undefined): 'void' | 'refund' | undefined {
  switch (status) {
    case 'captured':
      return 'refund';
    case 'authorized':
    // Not recorded, but an attempt that crashed may have made a charge.
    case undefined:
      return 'void';
    case 'declined':
    case 'voided':
    case 'refunded':
    case 'returned':
      return undefined;
  }
}

/**
 * Returns the events that bring a payment to the state of its charge. A crash after a provider call may lose the commit:
 * the charge can be several steps ahead, and each step becomes an event.
 * @param details payer and amount; required if no payment is recorded yet
 * @throws Error if no sequence of steps leads from the payment to the charge
 */
export function catchUp(
  known: Payment | undefined,
  charge: Charge,
  details?: PaymentDetails,
): PaymentEvent[] {
  const { status } = charge;
  switch (known?.status) {
    case undefined:
      // Only a return voids: it lost its commit and is redelivered. This is not a decline, and no event is published.
      if (status === 'voided' || (status === 'declined' && !details)) return [{ type: 'returned' }];
      if (!details) break;
      if (status === 'declined') return [{ type: 'declined', ...details, reason: charge.reason }];
      return [
        { type: 'authorized', ...details, reference: charge.reference },
        ...getEventsAfterAuthorization(status),
      ];
    case 'authorized':
      if (status !== 'declined') return getEventsAfterAuthorization(status);
      break;
    case 'captured':
      if (status === 'captured') return [];
      if (status === 'refunded') return [{ type: 'refunded' }];
      break;
    case 'declined':
    case 'voided':
    case 'refunded':
    case 'returned':
      return [];
  }
  throw new Error(`the payment is ${known?.status ?? 'not recorded'}, but its charge is ${status}`);
}

function getEventsAfterAuthorization(
  status: 'authorized' | 'captured' | 'voided' | 'refunded',
): PaymentEvent[] {
  switch (status) {
    case 'authorized':
      return [];
    case 'captured':
    case 'voided':
      return [{ type: status }];
    case 'refunded':
      return [{ type: 'captured' }, { type: 'refunded' }];
  }
}

/** The key for `FairCalls`: the member, or the order if there is no payment yet. */
export const getPayer = (orderId: string, known: Payment | undefined): string => known?.memberId ?? orderId;

/** @throws Error if the reference of the charge is not recorded */
export function getReference(orderId: string, known: Payment | undefined): Reference {
  if (!known?.reference) throw new Error(`the charge of order ${orderId} has no recorded reference`);
  return { paymentId: toPaymentId(orderId), reference: known.reference };
}
