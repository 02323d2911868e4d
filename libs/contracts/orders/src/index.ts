import {
  CountryCode,
  Id,
  Language,
  lineOfText,
  Money,
  Timestamp,
  Version,
  createPageSchema,
  pageQuery,
  sensitive,
  service,
} from '@jogakbo/contract';
import { z } from 'zod';

export const orders = service('orders', 'Orders, from placed to paid, and the saga that takes them there.');

/** Pieces of one product in one order. */
const maxQuantity = 1_000;
const Quantity = z.int().min(1).max(maxQuantity);
/** Lines may repeat a product; the limit holds for all of them together. */
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
        const message = `at most ${maxQuantity} pieces of one product, in all lines together`;
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
/** An address that was taken stays readable when the rules for new ones change. */
const KeptAddress = sensitive(
  z.object({
    ...{ name: z.string(), line1: z.string(), city: z.string() },
    ...{ postalCode: z.string(), country: z.string() },
  }),
);
export const OrderStatus = z.enum(['placed', 'confirmed', 'rejected', 'cancelled', 'shipped', 'refunded']);
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
    payment: z
      .object({ token: sensitive(z.string()).describe('readable for orders alone') })
      .optional()
      .describe('absent where the total is 0'),
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
  Outcome.extend({ wasConfirmed: z.boolean().optional().describe('order-confirmed came before') }),
  bySubject,
);
export const OrderRefunded = orders.event('order-refunded', Outcome, bySubject);

export const GetOrderOutcome = orders.query('get-order-outcome', {
  description: 'How the checkout of an order ended (placed: not yet). Never changes once it has.',
  input: z.strictObject({ orderId: Id }),
  output: Summary.extend({ rejection: z.string().optional() }),
  subject: 'orderId',
});

export const GetOrderOwner = orders.query('get-order-owner', {
  description: 'The member who placed an order, for services that keep something about it.',
  input: z.strictObject({ orderId: Id }),
  output: z.object({ memberId: Id }),
});

export const PlaceOrder = orders.command('place-order', {
  description:
    'Buys. Answers at once with `placed`, or with the end of the checkout where Prefer: wait=N asks to wait. Where a price rose above `expectedTotal` or since `priceVersion`, nothing is bought: the problem `price-changed` has the new `total`. Without `payment` only a total of 0 is accepted. A member may have 20 orders open at a time.',
  input: z.strictObject({
    lines: Lines,
    expectedTotal: Money.optional().describe('what the member was shown; a lower total is accepted'),
    shipTo: Address,
    payment: z
      .strictObject({ token: sensitive(z.string().min(1).max(200)) })
      .optional()
      .describe('required where the total is above 0, ignored where it is 0'),
  }),
  output: Summary,
  rejections: {
    ...{ 'unknown-product': 422, 'mixed-currencies': 422 },
    ...{ 'payment-required': 422, 'unknown-payment-token': 422 },
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
});

export const GetOrder = orders.query('get-order', {
  description: 'One order, with what happened to it.',
  input: z.strictObject({ orderId: Id }),
  output: Summary.extend({
    lines: z.array(OrderLine),
    shipTo: KeptAddress,
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
    pending: z.boolean().describe('true where the newest changes are not in the list yet: ask again'),
  }),
  rejections: { 'unknown-cursor': 400 },
  http: 'GET /v1/orders',
  access: 'member',
});

export const CancelOrder = orders.command('cancel-order', {
  description: 'Cancels an order that is not shipped; money and stock go back.',
  input: z.strictObject({ orderId: Id }),
  output: Summary,
  rejections: { 'not-cancellable': 409 },
  subject: 'orderId',
  http: { route: 'POST /v1/orders/{orderId}/cancellation', status: 202 },
  access: 'owner',
});

export const ConfirmOrder = orders.command('confirm-order', {
  description: 'The checkout went through. From here on it only goes forward.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

export const RejectOrder = orders.command('reject-order', {
  description: 'The checkout failed.',
  input: z.strictObject({ orderId: Id, reason: z.string() }),
  subject: 'orderId',
});
