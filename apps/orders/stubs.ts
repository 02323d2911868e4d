import { randomUUID } from 'node:crypto';
import { QuoteProducts } from '@jogakbo/contracts-catalog';
import {
  CommitStock,
  ReserveStock,
  ReturnStock,
  StockCommitted,
  StockReserved,
  StockReturned,
} from '@jogakbo/contracts-inventory';
import {
  AuthorizePayment,
  CapturePayment,
  CheckPaymentToken,
  PaymentAuthorized,
  PaymentCaptured,
  PaymentDeclined,
  PaymentVoided,
  ReturnPayment,
} from '@jogakbo/contracts-payments';
import { stub, type Stub } from '@jogakbo/testing/stubs';

const price = { amount: 12_000, currency: 'KRW' };

/** The services that orders calls, for `nx serve orders` without a store: every product exists, and every checkout succeeds. */
export default [
  stub(QuoteProducts, ({ productIds }) => ({
    items: productIds.map((productId) => ({ productId, name: 'A teacup', price, version: 1 })),
  })),
  stub(CheckPaymentToken, ({ token }) => ({ known: token.startsWith('tok_') })),
  stub(ReserveStock, ({ orderId }, { publish }) => publish(StockReserved({ orderId }))),
  stub(CommitStock, ({ orderId }, { publish }) => publish(StockCommitted({ orderId }))),
  stub(ReturnStock, ({ orderId }, { publish }) => publish(StockReturned({ orderId }))),
  stub(AuthorizePayment, ({ orderId, amount, token }, { publish }) => {
    const paymentId = randomUUID();
    if (token === 'tok_ok') publish(PaymentAuthorized({ orderId, paymentId, amount }));
    else publish(PaymentDeclined({ orderId, paymentId, reason: 'declined' }));
  }),
  stub(CapturePayment, ({ orderId }, { publish }) =>
    publish(PaymentCaptured({ orderId, paymentId: randomUUID(), amount: price })),
  ),
  stub(ReturnPayment, ({ orderId }, { publish }) =>
    publish(PaymentVoided({ orderId, paymentId: randomUUID() })),
  ),
] satisfies Stub[];
