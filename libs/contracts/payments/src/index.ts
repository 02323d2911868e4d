import { Id, Timestamp, createPageSchema, sensitive, service } from '@jogakbo/contract';
import { Money } from '@jogakbo/contracts-commerce';
import { z } from 'zod';

export const payments = service('payments', 'Money: authorizations, captures, refunds and the ledger.');

export const PaymentToken = sensitive(z.string().min(1).max(200));
export const PaymentStatus = z.enum(['authorized', 'declined', 'captured', 'voided', 'refunded']);

export const AuthorizePayment = payments.command('authorize-payment', {
  description:
    'Authorizes the payment of an order at the provider. An order with a total of 0 needs no payment.',
  input: z.strictObject({
    orderId: Id,
    memberId: Id,
    amount: Money.extend({ amount: Money.shape.amount.min(1) }),
    token: PaymentToken,
  }),
  subject: 'orderId',
});

export const CapturePayment = payments.command('capture-payment', {
  description: 'Captures the authorized payment.',
  input: z.strictObject({ orderId: Id }),
  rejections: { 'payment-declined': 409 },
  subject: 'orderId',
});

export const ReturnPayment = payments.command('return-payment', {
  description:
    'Returns the payment of an order: voids an authorization, refunds a capture. A later authorization for the order is rejected.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

export const CheckPaymentToken = payments.query('check-payment-token', {
  description: 'Whether the payment provider knows a token. Does not charge it.',
  input: z.strictObject({ token: PaymentToken }),
  output: z.object({ known: z.boolean() }),
});

export const ListOrderPayments = payments.query('list-order-payments', {
  description: 'The payments of an order, with their ledger entries.',
  input: z.strictObject({ orderId: Id }),
  output: createPageSchema(
    z.object({
      paymentId: Id,
      status: PaymentStatus,
      amount: Money,
      sandbox: z.boolean().optional().describe('true if the sandbox decided: no money moves'),
      entries: z.array(
        z.object({
          account: z.string(),
          amount: z.int().describe('minor units; debit positive, credit negative'),
          currency: z.string(),
          at: Timestamp,
        }),
      ),
    }),
  ),
  http: 'GET /v1/orders/{orderId}/payments',
  access: 'owner',
});

const bySubject = { subject: 'orderId' } as const;
export const PaymentAuthorized = payments.event(
  'payment-authorized',
  z.object({ orderId: Id, paymentId: Id, amount: Money }),
  bySubject,
);
export const PaymentDeclined = payments.event(
  'payment-declined',
  z.object({ orderId: Id, paymentId: Id, reason: z.string() }),
  bySubject,
);
export const PaymentCaptured = payments.event(
  'payment-captured',
  z.object({ orderId: Id, paymentId: Id, amount: Money }),
  bySubject,
);
export const PaymentVoided = payments.event(
  'payment-voided',
  z.object({ orderId: Id, paymentId: Id }),
  bySubject,
);
export const PaymentRefunded = payments.event(
  'payment-refunded',
  z.object({ orderId: Id, paymentId: Id, amount: Money }),
  bySubject,
);
