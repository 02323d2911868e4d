import { Id, service } from '@jogakbo/contract';
import { z } from 'zod';

export const inventory = service('inventory', 'How many pieces there are, and for whom they are held.');

const Quantity = z.int().min(1).max(1_000_000);
const Lines = z
  .array(z.strictObject({ productId: Id, quantity: Quantity }))
  .min(1)
  .max(100);

export const GetStock = inventory.query('get-stock', {
  description: 'How many pieces of a product can be bought now.',
  input: z.strictObject({ productId: Id }),
  output: z.object({ productId: Id, available: z.int() }),
  http: 'GET /v1/stock/{productId}',
  access: 'public',
});

export const ReceiveStock = inventory.command('receive-stock', {
  description: 'Books pieces that arrived.',
  input: z.strictObject({ productId: Id, quantity: Quantity }),
  output: z.object({ productId: Id, available: z.int() }),
  subject: 'productId',
  idempotency: 'required',
  http: { route: 'POST /v1/stock/{productId}/receipts', status: 201 },
  access: 'merchant',
});

export const ReserveStock = inventory.command('reserve-stock', {
  description: 'Holds pieces for an order: all of them or none.',
  input: z.strictObject({ orderId: Id, lines: Lines }),
  subject: 'orderId',
});

export const CommitStock = inventory.command('commit-stock', {
  description: 'The pieces held for an order are sold.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

export const ReturnStock = inventory.command('return-stock', {
  description:
    'Puts back whatever an order holds or has bought. Where nothing is held yet, nothing will be: a later reserve-stock is refused.',
  input: z.strictObject({ orderId: Id }),
  subject: 'orderId',
});

export const ExpireReservation = inventory.command('expire-reservation', {
  description: 'Puts back what an order holds if it has held it for too long. Inventory sends it to itself.',
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
  z.object({ productId: Id, available: z.int(), version: z.int() }),
  {
    subject: 'productId',
    description: 'Another number of pieces can be bought. A higher version is newer; some are left out.',
  },
);
