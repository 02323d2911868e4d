import { aggregate } from '@jogakbo/consistency/aggregate';
import { platformRejection, type Body, type Language } from '@jogakbo/contract';
import type { Money } from '@jogakbo/contracts-commerce';
import {
  CancelOrder,
  OrderCancelled,
  OrderConfirmed,
  OrderPlaced,
  OrderRefunded,
  OrderRejected,
  type OrderLine,
  type OrderStatus,
  type PlaceOrder,
} from '@jogakbo/contracts-orders';
import type { z } from 'zod';

/** The events of an order. The event store keeps them instead of the state. */
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
  /** The last event: a confirmed order that is cancelled and paid back ends as `refunded`. */
  status: OrderStatus;
  /** How the checkout ended: `confirmed`, `rejected` or `cancelled`. Later events do not change it. */
  outcome: OrderStatus;
  rejection?: string;
}

/** Returns the state after an event. */
export function evolve(order: Order | undefined, event: OrderEvent): Order {
  if (event.type === 'placed') {
    const { type: status, ...rest } = event;
    return { ...rest, status, outcome: status };
  }
  if (!order) throw new Error(`the first event of an order must be placed, not ${event.type}`);
  const outcome = order.outcome === 'placed' ? event.type : order.outcome;
  return {
    ...order,
    status: event.type,
    outcome,
    ...(event.type === 'rejected' && { rejection: event.reason }),
  };
}

/** Returns the state after all events. @throws Rejection `not-found` if there are none */
export function toOrder(events: readonly OrderEvent[]): Order {
  const found = events.reduce<Order | undefined>(evolve, undefined);
  if (!found) throw platformRejection('not-found', 'there is no such order');
  return found;
}

export const order = aggregate<Order, OrderEvent>('order', {
  evolve,
  toPublicEvent(orderId, { memberId, language, lines, total, outcome }, event) {
    const summary = { orderId, memberId, language, lines, total };
    switch (event.type) {
      case 'placed':
        return OrderPlaced(summary);
      case 'confirmed':
        return OrderConfirmed({ ...summary, status: 'confirmed' });
      case 'rejected':
        return OrderRejected({ ...summary, status: 'rejected', rejection: event.reason });
      case 'cancelled':
        return OrderCancelled({ ...summary, wasConfirmed: outcome === 'confirmed' });
      case 'refunded':
        return OrderRefunded(summary);
    }
  },
  personal: {
    placed: {
      of: ({ memberId }) => memberId,
      fields: { shipTo: { name: '-', line1: '-', city: '-', postalCode: '-', country: 'ZZ' } },
    },
  },
});

/** The checkout succeeded (the pivot). An order that was cancelled in the meantime stays cancelled. */
export const confirm = (order: Order): OrderEvent[] =>
  order.status === 'placed' ? [{ type: 'confirmed' }] : [];

/** The checkout failed. An order that has already ended stays as it is. */
export const reject = (order: Order, reason: string): OrderEvent[] =>
  order.status === 'placed' ? [{ type: 'rejected', reason }] : [];

/** @throws Rejection `not-cancellable` if the order is rejected */
export function cancel(order: Order): OrderEvent[] {
  if (order.status === 'placed' || order.status === 'confirmed') return [{ type: 'cancelled' }];
  if (order.status === 'cancelled' || order.status === 'refunded') return [];
  throw CancelOrder.reject('not-cancellable', `the order is ${order.status}`);
}

/** The payment of a cancelled order was refunded. */
export const refund = (order: Order): OrderEvent[] =>
  order.status === 'cancelled' ? [{ type: 'refunded' }] : [];

/** Whether a price is higher than before. Also true if they cannot be compared: the currencies differ, or none is known. */
export const isPriceHigher = (now: Money, before: Money | undefined): boolean =>
  now.currency !== before?.currency || now.amount > before.amount;

/** Adds up all lines. @throws Error if they have several currencies */
export function calculateTotal(lines: { quantity: number; price: Money }[]): Money {
  const currency = lines[0]!.price.currency;
  if (lines.some(({ price }) => price.currency !== currency))
    throw new Error('the order lines have several currencies');
  return { amount: lines.reduce((sum, { quantity, price }) => sum + quantity * price.amount, 0), currency };
}
