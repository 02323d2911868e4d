import { describe, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import {
  CommitStock,
  ReserveStock,
  ReturnStock,
  StockRefused,
  StockReserved,
} from '@jogakbo/contracts-inventory';
import {
  ConfirmOrder,
  OrderCancelled,
  OrderConfirmed,
  RejectOrder,
  StartCheckout,
} from '@jogakbo/contracts-orders';
import {
  AuthorizePayment,
  CapturePayment,
  PaymentAuthorized,
  PaymentDeclined,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
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
const lines = [{ productId, quantity: 2 }];
const placed = StartCheckout({ orderId, memberId, lines, total, payment: { token: 'tok_ok' } });
const reserved = StockReserved({ orderId });
const authorized = PaymentAuthorized({ orderId, paymentId, amount: total });
const confirmed = OrderConfirmed({ ...order, status: 'confirmed' });

describe('checkout', () => {
  it('first reserves the stock', () => {
    given(checkout).when(placed).sends(ReserveStock({ orderId, lines }));
  });

  it('authorizes the payment once the stock is reserved', () => {
    given(checkout, placed)
      .when(reserved)
      .sends(AuthorizePayment({ orderId, memberId, amount: total, token: 'tok_ok' }));
  });

  it('confirms once the payment is authorized', () => {
    given(checkout, placed, reserved).when(authorized).sends(ConfirmOrder({ orderId }));
  });

  it('commits the stock and captures the payment after the confirmation, and ends', () => {
    given(checkout, placed, reserved, authorized)
      .when(confirmed)
      .sends(CommitStock({ orderId }), CapturePayment({ orderId }))
      .ends();
  });

  it('rejects the order if stock is refused, with nothing to compensate', () => {
    given(checkout, placed)
      .when(StockRefused({ orderId, productId, available: 1 }))
      .sends(RejectOrder({ orderId, reason: 'out-of-stock' }))
      .ends();
  });

  it('returns the stock if the payment is declined', () => {
    given(checkout, placed, reserved)
      .when(PaymentDeclined({ orderId, paymentId, reason: 'card-declined' }))
      .sends(ReturnStock({ orderId }), RejectOrder({ orderId, reason: 'card-declined' }))
      .ends();
  });

  it('compensates everything after ten minutes', () => {
    given(checkout, placed, reserved)
      .whenTimeIsUp({ orderId })
      .sends(
        ReturnStock({ orderId }),
        ReturnPayment({ orderId }),
        RejectOrder({ orderId, reason: 'timeout' }),
      )
      .ends();
  });

  it('ends if the order is cancelled; the cancellation saga compensates', () => {
    given(checkout, placed, reserved).when(OrderCancelled(order)).sendsNothing().ends();
    given(cancellation)
      .when(OrderCancelled(order))
      .sends(ReturnStock({ orderId }), ReturnPayment({ orderId }))
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
    const start = StartCheckout({ orderId, memberId, lines, total: free });
    given(checkout, start).when(reserved).sends(ConfirmOrder({ orderId }));
    given(checkout, start, reserved)
      .when(OrderConfirmed({ ...freeOrder, status: 'confirmed' }))
      .sends(CommitStock({ orderId }))
      .ends();
    given(checkout, start, reserved)
      .whenTimeIsUp({ orderId })
      .sends(ReturnStock({ orderId }), RejectOrder({ orderId, reason: 'timeout' }))
      .ends();
    given(cancellation).when(OrderCancelled(freeOrder)).sends(ReturnStock({ orderId })).ends();
  });

  it('never compensates a confirmed order', () => {
    given(checkout, placed, reserved, authorized, confirmed).whenTimeIsUp({ orderId }).sendsNothing();
  });
});
