import { createHash } from 'node:crypto';
import { aggregate, OutOfOrder } from '@jogakbo/consistency/aggregate';
import type { Money } from '@jogakbo/contract';
import {
  PaymentAuthorized,
  PaymentCaptured,
  PaymentDeclined,
  PaymentRefunded,
  PaymentVoided,
  type PaymentStatus as PublicStatus,
} from '@jogakbo/contracts-payments';
import type { z } from 'zod';
import type { Charge } from './provider.ts';

/** `returned`: the order was over before anything was authorized for it, and nothing will be. */
export type PaymentStatus = z.infer<typeof PublicStatus> | 'returned';

/** What can happen to the payment of an order. This, and not its state, is what is kept. */
export type PaymentEvent =
  | ({ type: 'authorized'; reference: string } & About)
  | ({ type: 'declined'; reason: string } & About)
  | { type: 'captured' | 'voided' | 'refunded' | 'returned' };

/** What a payment is for. */
export interface About {
  memberId: string;
  amount: Money;
  /** Whether the sandbox decided, and no money moves; missing in payments older than this field. */
  sandbox?: boolean;
}

export interface Payment extends Partial<About> {
  status: PaymentStatus;
  /** The order was over before anything was authorized for it: nobody hears of what the provider decides later. */
  unwanted: boolean;
  reference?: string;
}

/** The state after an event. */
export function evolve(payment: Payment | undefined, event: PaymentEvent): Payment {
  const unwanted = payment?.unwanted === true || event.type === 'returned';
  if (event.type === 'authorized') {
    const { type: status, ...rest } = event;
    return { status, unwanted, ...rest };
  }
  if (event.type === 'declined') {
    const { type: status, reason: _, ...about } = event;
    return { status, unwanted, ...about };
  }
  return { ...payment, status: event.type, unwanted };
}

/** Kept under the id of its order: there is one for each. */
export const payment = aggregate<Payment, PaymentEvent>('payment', {
  evolve,
  announce(orderId, state, event) {
    const about = { orderId, paymentId: toPaymentId(orderId) };
    switch (event.type) {
      case 'authorized':
        return state.unwanted ? undefined : PaymentAuthorized({ ...about, amount: event.amount });
      case 'declined':
        return PaymentDeclined({ ...about, reason: event.reason });
      case 'captured':
        return PaymentCaptured({ ...about, amount: state.amount! });
      case 'voided':
        return PaymentVoided(about);
      case 'refunded':
        return PaymentRefunded({ ...about, amount: state.amount! });
      case 'returned':
        return undefined;
    }
  },
});

/**
 * The one payment of an order. Known before anything is written, so that every attempt, before and after a crash,
 * comes to the provider with the same key. A UUID of version 8: made of a SHA-256 (RFC 9562, B.2).
 */
export function toPaymentId(orderId: string): string {
  const bytes = createHash('sha256').update(`payment of order ${orderId}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** Whether a payment is to be captured now. @throws TooEarly where nothing was authorized yet */
export function mustCapture(status: PaymentStatus | undefined): boolean {
  if (status === undefined) throw new OutOfOrder('nothing was authorized yet');
  if (status === 'declined') throw new Error('a declined payment cannot be captured');
  return status === 'authorized';
}

/** What the provider is to be asked for so that an order costs nothing; undefined where it does not. */
export function toReturn(status: PaymentStatus | undefined): 'void' | 'refund' | undefined {
  switch (status) {
    case 'captured':
      return 'refund';
    case 'authorized':
    // Nothing is known here, but an attempt that was cut off may have left something at the provider.
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
 * The events that bring a payment to the present state of its charge. The provider acts before the commit, and a crash
 * may lose the commit: the charge can be several steps ahead, and each step is recorded as what it is.
 * @param order what the payment is for; needed where no payment is known yet
 * @throws Error where the payment cannot have become that charge
 */
export function catchUp(known: Payment | undefined, charge: Charge, order?: About): PaymentEvent[] {
  const { status } = charge;
  switch (known?.status) {
    case undefined:
      // Only a return voids: it lost its commit and is redelivered. Nothing was declined, and nothing is announced.
      if (status === 'voided' || (status === 'declined' && !order)) return [{ type: 'returned' }];
      if (!order) break;
      if (status === 'declined') return [{ type: 'declined', ...order, reason: charge.reason }];
      return [{ type: 'authorized', ...order, reference: charge.reference }, ...sinceAuthorized(status)];
    case 'authorized':
      if (status !== 'declined') return sinceAuthorized(status);
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
  throw new Error(`the payment is ${known?.status ?? 'unknown'}, yet its charge is ${status}`);
}

function sinceAuthorized(status: 'authorized' | 'captured' | 'voided' | 'refunded'): PaymentEvent[] {
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
