import {
  Id,
  Language,
  lineOfText,
  Timestamp,
  Version,
  createPageSchema,
  pageQuery,
  sensitive,
  service,
} from '@jogakbo/contract';
import { CountryCode, Money } from '@jogakbo/contracts-commerce';
import { z } from 'zod';

export const orders = service('orders', 'Orders and the checkout saga.');

/** Maximum pieces of one product in one order. */
const maxQuantity = 1_000;
const Quantity = z.int().min(1).max(maxQuantity);
/** Lines can repeat a product; the limit applies to their sum. */
const Lines = z
  .array(
    z.strictObject({
      productId: Id,
      quantity: Quantity,
      priceVersion: Version.optional().describe('the version of the product when its price was read'),
    }),
  )
  .min(1)
  .max(50)
  .superRefine((lines, { addIssue }) => {
    const sums = new Map<string, number>();
    for (const [index, { productId, quantity }] of lines.entries()) {
      const sum = (sums.get(productId) ?? 0) + quantity;
      sums.set(productId, sum);
      if (sum > maxQuantity && quantity <= maxQuantity) {
        const message = `must be at most ${maxQuantity} pieces of one product in all lines together`;
        addIssue({ code: 'custom', path: [index, 'quantity'], message });
      }
    }
  });
const Address = sensitive(
  z.strictObject({
    name: lineOfText(200),
    line1: lineOfText(200),
    city: lineOfText(200),
    postalCode: lineOfText(20),
    country: CountryCode,
  }),
);
/** Stored addresses stay readable when the rules for new ones change. */
const StoredAddress = sensitive(
  z.object({
    name: z.string(),
    line1: z.string(),
    city: z.string(),
    postalCode: z.string(),
    country: z.string(),
  }),
);
export const OrderStatus = z.enum(['placed', 'confirmed', 'rejected', 'cancelled', 'refunded']);
export type OrderStatus = z.infer<typeof OrderStatus>;

export const OrderLine = z.object({ productId: Id, name: z.string(), quantity: z.int(), price: Money });
const Summary = z.object({ orderId: Id, status: OrderStatus, total: Money });
const bySubject = { subject: 'orderId' } as const;

export const OrderPlaced = orders.event(
  'order-placed',
  z.object({
    orderId: Id,
    memberId: Id,
    language: Language,
    lines: z.array(OrderLine),
    total: Money,
  }),
  bySubject,
);
const Outcome = z.object({
  orderId: Id,
  memberId: Id,
  language: Language,
  lines: z.array(OrderLine),
  total: Money,
});
export const OrderConfirmed = orders.event(
  'order-confirmed',
  Outcome.extend({ status: z.literal('confirmed') }),
  bySubject,
);
export const OrderRejected = orders.event(
  'order-rejected',
  Outcome.extend({ status: z.literal('rejected'), rejection: z.string() }),
  bySubject,
);
export const OrderCancelled = orders.event(
  'order-cancelled',
  Outcome.extend({
    wasConfirmed: z.boolean().optional().describe('true if order-confirmed was published before'),
  }),
  bySubject,
);
export const OrderRefunded = orders.event('order-refunded', Outcome, bySubject);

export const GetOrderOutcome = orders.query('get-order-outcome', {
  description:
    'The outcome of the checkout of an order (placed: still running). A final outcome never changes.',
  input: z.strictObject({ orderId: Id }),
  output: Summary.extend({ rejection: z.string().optional() }),
  subject: 'orderId',
});

export const GetOrderOwner = orders.query('get-order-owner', {
  description: 'The member who placed an order, for services with data about the order.',
  input: z.strictObject({ orderId: Id }),
  output: z.object({ memberId: Id }),
});

export const PlaceOrder = orders.command('place-order', {
  description:
    'Places an order. Answers at once with `placed`, or with the outcome of the checkout if Prefer: wait=N is sent. If the total exceeds `expectedTotal`, or a price rose since `priceVersion`, no order is placed: the problem `price-changed` has the new `total`. Without `payment`, only a total of 0 is accepted. A member can have 20 open orders.',
  input: z.strictObject({
    lines: Lines,
    expectedTotal: Money.optional().describe('the total shown to the member; a lower one is accepted'),
    shipTo: Address,
    payment: z
      .strictObject({ token: sensitive(z.string().min(1).max(200)) })
      .optional()
      .describe('required if the total is above 0, otherwise ignored'),
  }),
  output: Summary,
  rejections: {
    'unknown-product': 422,
    'mixed-currencies': 422,
    'payment-required': 422,
    'unknown-payment-token': 422,
    'price-changed': 409,
    'too-many-open-orders': 429,
  },
  extensions: { 'price-changed': z.object({ total: Money }) },
  idempotency: 'required',
  http: {
    route: 'POST /v1/orders',
    status: 202,
    limit: '3000/minute',
    memberLimit: '300/minute',
    location: '/v1/orders/{orderId}',
    wait: {
      key: 'orderId',
      until: [OrderConfirmed, OrderRejected, OrderCancelled],
      answer: GetOrderOutcome,
      status: 201,
    },
  },
  access: 'member',
  priority: 'high',
});

export const StartCheckout = orders.command('start-checkout', {
  description: 'Starts the checkout of an order. Orders sends it to itself when it places the order.',
  input: z
    .strictObject({
      orderId: Id,
      memberId: Id,
      lines: z
        .array(z.strictObject({ productId: Id, quantity: Quantity }))
        .min(1)
        .max(50),
      total: Money,
      payment: z
        .strictObject({ token: sensitive(z.string().min(1).max(200)) })
        .optional()
        .describe('absent if the total is 0'),
    })
    .refine(({ total, payment }) => total.amount === 0 || payment, {
      path: ['payment'],
      message: 'is required if the total is above 0',
    }),
  subject: 'orderId',
});

export const GetOrder = orders.query('get-order', {
  description: 'One order with its history.',
  input: z.strictObject({ orderId: Id }),
  output: Summary.extend({
    lines: z.array(OrderLine),
    shipTo: StoredAddress,
    history: z.array(z.object({ at: Timestamp, event: z.string() })),
    rejection: z.string().optional(),
  }),
  http: 'GET /v1/orders/{orderId}',
  access: 'owner',
});

export const ListOrders = orders.query('list-orders', {
  description: "The member's own orders, newest first.",
  input: z.strictObject(pageQuery),
  output: createPageSchema(Summary.extend({ placedAt: Timestamp, lines: z.array(OrderLine) })).extend({
    pending: z
      .boolean()
      .describe('true if the list does not contain the newest changes yet: repeat the request'),
  }),
  rejections: { 'unknown-cursor': 400 },
  http: 'GET /v1/orders',
  access: 'member',
});

export const CancelOrder = orders.command('cancel-order', {
  description: 'Cancels a placed or confirmed order. Payment and stock are returned.',
  input: z.strictObject({ orderId: Id }),
  output: Summary,
  rejections: { 'not-cancellable': 409 },
  subject: 'orderId',
  http: { route: 'POST /v1/orders/{orderId}/cancellation', status: 202 },
  access: 'owner',
  priority: 'high',
});

export const ConfirmOrder = orders.command('confirm-order', {
  description: 'Confirms an order after its checkout. The checkout cannot be undone after this.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

export const RejectOrder = orders.command('reject-order', {
  description: 'Rejects an order whose checkout failed.',
  input: z.strictObject({ orderId: Id, reason: z.string() }),
  subject: 'orderId',
});
