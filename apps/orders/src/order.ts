import { aggregate } from '@jogakbo/consistency/aggregate';
import type { Body, Language, Money } from '@jogakbo/contract';
import {
  CancelOrder,
  OrderCancelled,
  OrderConfirmed,
  OrderRefunded,
  OrderRejected,
  type OrderLine,
  type OrderStatus,
  type PlaceOrder,
} from '@jogakbo/contracts-orders';
import type { z } from 'zod';

/** What can happen to an order. This, and not its state, is what is kept. */
export type OrderEvent =
  | {
      type: 'placed';
      memberId: string;
      language: Language;
      lines: z.infer<typeof OrderLine>[];
      total: Money;
      shipTo: Body<typeof PlaceOrder>['shipTo'];
    }
  | { type: 'confirmed' }
  | { type: 'rejected'; reason: string }
  | { type: 'cancelled' }
  | { type: 'refunded' };

export interface Order extends Omit<Extract<OrderEvent, { type: 'placed' }>, 'type'> {
  status: OrderStatus;
  /** How the checkout ended; whatever comes later does not change it. */
  outcome: OrderStatus;
  rejection?: string;
}

/** The state after an event. */
export function evolve(order: Order | undefined, event: OrderEvent): Order {
  if (event.type === 'placed') {
    const { type: status, ...rest } = event;
    return { ...rest, status, outcome: status };
  }
  if (!order) throw new Error(`an order cannot begin with ${event.type}`);
  const outcome = order.outcome === 'placed' ? event.type : order.outcome;
  return {
    ...order,
    status: event.type,
    outcome,
    ...(event.type === 'rejected' && { rejection: event.reason }),
  };
}

export const order = aggregate<Order, OrderEvent>('order', {
  evolve,
  /** Of a placed order `place-order` tells: only it has the payment token, which is no part of the order. */
  announce(orderId, { memberId, language, lines, total, outcome }, event) {
    const about = { orderId, memberId, language, lines, total };
    switch (event.type) {
      case 'placed':
        return undefined;
      case 'confirmed':
        return OrderConfirmed({ ...about, status: 'confirmed' });
      case 'rejected':
        return OrderRejected({ ...about, status: 'rejected', rejection: event.reason });
      case 'cancelled':
        return OrderCancelled({ ...about, wasConfirmed: outcome === 'confirmed' });
      case 'refunded':
        return OrderRefunded(about);
    }
  },
  personal: {
    placed: {
      of: ({ memberId }) => memberId,
      fields: { shipTo: { name: '-', line1: '-', city: '-', postalCode: '-', country: 'ZZ' } },
    },
  },
});

/** The checkout went through: the pivot. An order that was cancelled meanwhile stays cancelled. */
export const confirm = (order: Order): OrderEvent[] =>
  order.status === 'placed' ? [{ type: 'confirmed' }] : [];

/** The checkout failed. What has ended otherwise stays as it is. */
export const reject = (order: Order, reason: string): OrderEvent[] =>
  order.status === 'placed' ? [{ type: 'rejected', reason }] : [];

/** @throws Rejection `not-cancellable` once it is rejected or shipped */
export function cancel(order: Order): OrderEvent[] {
  if (order.status === 'placed' || order.status === 'confirmed') return [{ type: 'cancelled' }];
  if (order.status === 'cancelled' || order.status === 'refunded') return [];
  throw CancelOrder.reject('not-cancellable', `the order is ${order.status}`);
}

/** The money of a cancelled order is back. */
export const refund = (order: Order): OrderEvent[] =>
  order.status === 'cancelled' ? [{ type: 'refunded' }] : [];

/** Whether something costs more than it did, or costs it in another currency: the two cannot be compared. */
export const isDearer = (now: Money, before: Money | undefined): boolean =>
  now.currency !== before?.currency || now.amount > before.amount;

/** The sum of all lines. @throws Error where they are in several currencies */
export function calculateTotal(lines: { quantity: number; price: Money }[]): Money {
  const currency = lines[0]!.price.currency;
  if (lines.some(({ price }) => price.currency !== currency)) throw new Error('several currencies');
  return { amount: lines.reduce((sum, { quantity, price }) => sum + quantity * price.amount, 0), currency };
}
