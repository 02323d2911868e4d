import { describe, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { StockRefused, StockReserved } from '@jogakbo/contracts-inventory';
import { OrderCancelled, OrderConfirmed, OrderPlaced } from '@jogakbo/contracts-orders';
import { PaymentAuthorized, PaymentDeclined } from '@jogakbo/contracts-payments';
import { given } from '@jogakbo/testing/saga';
import { cancellation, checkout } from './checkout.saga.ts';

const orderId = randomUUID();
const productId = randomUUID();
const memberId = randomUUID();
const paymentId = randomUUID();
const total = { amount: 2_000, currency: 'KRW' };
const order = {
  orderId,
  memberId,
  language: 'ko' as const,
  lines: [{ productId, name: '조각보', quantity: 2, price: { amount: 1_000, currency: 'KRW' } }],
  total,
};
const placed = OrderPlaced({ ...order, payment: { token: 'tok_ok' } });
const reserved = StockReserved({ orderId });
const authorized = PaymentAuthorized({ orderId, paymentId, amount: total });
const confirmed = OrderConfirmed({ ...order, status: 'confirmed' });

describe('checkout', () => {
  it('first reserves the stock', () => {
    given(checkout)
      .when(placed)
      .sends('inventory.reserve-stock', { orderId, lines: [{ productId, quantity: 2 }] });
  });

  it('authorizes the payment once the stock is reserved', () => {
    given(checkout, placed)
      .when(reserved)
      .sends('payments.authorize-payment', { orderId, memberId, amount: total, token: 'tok_ok' });
  });

  it('confirms once the payment is authorized', () => {
    given(checkout, placed, reserved).when(authorized).sends('orders.confirm-order', { orderId });
  });

  it('commits the stock and captures the payment after the confirmation, and ends', () => {
    given(checkout, placed, reserved, authorized)
      .when(confirmed)
      .sends('inventory.commit-stock', { orderId })
      .sends('payments.capture-payment', { orderId })
      .ends();
  });

  it('rejects the order if stock is refused, with nothing to compensate', () => {
    given(checkout, placed)
      .when(StockRefused({ orderId, productId, available: 1 }))
      .sends('orders.reject-order', { orderId, reason: 'out-of-stock' })
      .ends();
  });

  it('returns the stock if the payment is declined', () => {
    given(checkout, placed, reserved)
      .when(PaymentDeclined({ orderId, paymentId, reason: 'card-declined' }))
      .sends('inventory.return-stock', { orderId })
      .sends('orders.reject-order', { orderId, reason: 'card-declined' })
      .ends();
  });

  it('compensates everything after ten minutes', () => {
    given(checkout, placed, reserved)
      .whenTimeIsUp({ orderId })
      .sends('inventory.return-stock', { orderId })
      .sends('payments.return-payment', { orderId })
      .sends('orders.reject-order', { orderId, reason: 'timeout' })
      .ends();
  });

  it('ends if the order is cancelled; the cancellation saga compensates', () => {
    given(checkout, placed, reserved).when(OrderCancelled(order)).ends();
    given(cancellation)
      .when(OrderCancelled(order))
      .sends('inventory.return-stock', { orderId })
      .sends('payments.return-payment', { orderId })
      .ends();
  });

  it.each([
    ['a refusal', StockRefused({ orderId, productId, available: 0 })],
    ['a cancellation', OrderCancelled(order)],
  ])('sends nothing after %s', (_, end) => {
    given(checkout, placed, end).when(authorized).sendsNothing();
  });

  it('sends no payment command for a free order', () => {
    const free = { amount: 0, currency: 'KRW' };
    const freeOrder = { ...order, total: free };
    const start = OrderPlaced(freeOrder);
    given(checkout, start).when(reserved).sends('orders.confirm-order', { orderId });
    given(checkout, start, reserved)
      .when(OrderConfirmed({ ...freeOrder, status: 'confirmed' }))
      .sends('inventory.commit-stock', { orderId })
      .ends();
    given(checkout, start, reserved)
      .whenTimeIsUp({ orderId })
      .sends('inventory.return-stock', { orderId })
      .sends('orders.reject-order', { orderId, reason: 'timeout' })
      .ends();
    given(cancellation).when(OrderCancelled(freeOrder)).sends('inventory.return-stock', { orderId }).ends();
  });

  it('never compensates a confirmed order', () => {
    given(checkout, placed, reserved, authorized, confirmed).whenTimeIsUp({ orderId }).sendsNothing();
  });
});
