// Type tests: the compiler is the runner (target `typecheck`). Every @ts-expect-error pins what must not compile.
import { z } from 'zod';
import type { Answer, Body, Reply } from './contract.ts';
import { service } from './declare-service.ts';

const orders = service('orders');
const Place = orders.command('place', {
  input: z.strictObject({ productId: z.uuid(), quantity: z.int().default(1) }),
  output: z.object({ orderId: z.uuid(), total: z.int() }),
  rejections: { 'unknown-product': 422 },
  subject: 'productId',
});
const Placed = orders.event('placed', z.object({ orderId: z.uuid() }), { subject: 'orderId' });

export const ok = [
  Place({ productId: 'p' }),
  Place({ productId: 'p', quantity: 2 }),
  Placed({ orderId: 'o' }),
];
export const rejection = Place.reject('unknown-product');
export const body: Body<typeof Place> = { productId: 'p', quantity: 1 };
export const answer: Answer<typeof Place> = { orderId: 'o', total: 1 };
export const total = (reply: Reply<typeof Place>): number => reply.total;

// @ts-expect-error a field is missing
Place({});
// @ts-expect-error an unknown field
Place({ productId: 'p', price: 1 });
// @ts-expect-error a wrong type
Placed({ orderId: 7 });
// @ts-expect-error a rejection that the contract does not list
Place.reject('out-of-stock');
// @ts-expect-error the body has its defaults filled in
export const partial: Body<typeof Place> = { productId: 'p' };
// @ts-expect-error an answer without a field
export const half: Answer<typeof Place> = { orderId: 'o' };
// @ts-expect-error the subject is a field of the data
orders.event('moved', z.object({ orderId: z.uuid() }), { subject: 'stockId' });
// @ts-expect-error an HTTP route without an access policy
orders.query('get', { input: z.strictObject({}), output: z.object({}), http: 'GET /v1/orders' });
// @ts-expect-error the same, with a detailed HTTP binding
orders.command('drop', { input: z.strictObject({}), http: { route: 'POST /v1/drops', status: 202 } });
// @ts-expect-error an undefined policy
orders.query('all', { input: z.strictObject({}), output: z.object({}), http: 'GET /v1', access: undefined });
// @ts-expect-error a policy that is no text
orders.query('any', { input: z.strictObject({}), output: z.object({}), http: 'GET /v1', access: 7 });
// @ts-expect-error a policy without a route
orders.query('in', { input: z.strictObject({}), output: z.object({}), access: 'operator' });
// @ts-expect-error a query without an output
orders.query('ask', { input: z.strictObject({}) });
