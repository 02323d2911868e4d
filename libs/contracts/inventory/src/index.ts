import { Id, service, Version } from '@jogakbo/contract';
import { z } from 'zod';

export const inventory = service('inventory', 'Stock and reservations.');

const Quantity = z.int().min(1).max(1_000_000);
const Lines = z
  .array(z.strictObject({ productId: Id, quantity: Quantity }))
  .min(1)
  .max(100);

export const GetStock = inventory.query('get-stock', {
  description: 'The available quantity of a product.',
  input: z.strictObject({ productId: Id }),
  output: z.object({ productId: Id, available: z.int() }),
  http: 'GET /v1/stock/{productId}',
  access: 'public',
  priority: 'low',
});

export const ReceiveStock = inventory.command('receive-stock', {
  description: 'Adds received pieces to the stock.',
  input: z.strictObject({ productId: Id, quantity: Quantity }),
  output: z.object({ productId: Id, available: z.int() }),
  subject: 'productId',
  idempotency: 'required',
  http: { route: 'POST /v1/stock/{productId}/receipts', status: 201 },
  access: 'merchant',
  priority: 'high',
});

export const ReserveStock = inventory.command('reserve-stock', {
  description: 'Reserves pieces for an order: all of them or none.',
  input: z.strictObject({ orderId: Id, lines: Lines }),
  subject: 'orderId',
});

export const CommitStock = inventory.command('commit-stock', {
  description: 'Marks the reserved pieces of an order as sold.',
  input: z.strictObject({ orderId: Id }),
  rejections: { 'reservation-refused': 409 },
  subject: 'orderId',
});

export const ReturnStock = inventory.command('return-stock', {
  description:
    'Returns the reserved or sold pieces of an order to the stock. A later reserve-stock for the order is rejected.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

export const ExpireReservation = inventory.command('expire-reservation', {
  description:
    'Returns the reserved pieces of an order to the stock if the reservation has expired. Sent by inventory to itself.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

const bySubject = { subject: 'orderId' } as const;
export const StockReserved = inventory.event('stock-reserved', z.object({ orderId: Id }), bySubject);
export const StockRefused = inventory.event(
  'stock-refused',
  z.object({ orderId: Id, productId: Id, available: z.int() }),
  bySubject,
);
export const StockCommitted = inventory.event('stock-committed', z.object({ orderId: Id }), bySubject);
export const StockReturned = inventory.event('stock-returned', z.object({ orderId: Id }), bySubject);
export const ReservationExpired = inventory.event(
  'reservation-expired',
  z.object({ orderId: Id }),
  bySubject,
);
export const StockChanged = inventory.event(
  'stock-changed',
  z.object({ productId: Id, available: z.int(), version: Version }),
  {
    subject: 'productId',
    description: 'The available quantity changed. A higher version is newer; some versions are skipped.',
  },
);
