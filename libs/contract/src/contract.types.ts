// Type tests: the compiler is the runner (target `typecheck`). Every @ts-expect-error pins what must not compile.
import { z } from 'zod';
import type { HandlerOutput, Body, Reply } from './contract.ts';
import { service } from './declare-service.ts';

const loans = service('loans');
const Place = loans.command('place', {
  input: z.strictObject({ bookId: z.uuid(), quantity: z.int().default(1) }),
  output: z.object({ loanId: z.uuid(), total: z.int() }),
  rejections: { 'unknown-book': 422 },
  subject: 'bookId',
});
const Placed = loans.event('placed', z.object({ loanId: z.uuid() }), { subject: 'loanId' });

export const ok = [Place({ bookId: 'p' }), Place({ bookId: 'p', quantity: 2 }), Placed({ loanId: 'o' })];
export const rejection = Place.reject('unknown-book');
export const body: Body<typeof Place> = { bookId: 'p', quantity: 1 };
export const answer: HandlerOutput<typeof Place> = { loanId: 'o', total: 1 };
export const total = (reply: Reply<typeof Place>): number => reply.total;

// @ts-expect-error a field is missing
Place({});
// @ts-expect-error an unknown field
Place({ bookId: 'p', price: 1 });
// @ts-expect-error a wrong type
Placed({ loanId: 7 });
// @ts-expect-error a rejection that the contract does not list
Place.reject('none-left');
// @ts-expect-error the body has its defaults filled in
export const partial: Body<typeof Place> = { bookId: 'p' };
// @ts-expect-error an answer without a field
export const half: HandlerOutput<typeof Place> = { loanId: 'o' };
// @ts-expect-error the subject is a field of the data
loans.event('moved', z.object({ loanId: z.uuid() }), { subject: 'tomeId' });
// @ts-expect-error an HTTP route without an access policy
loans.query('get', { input: z.strictObject({}), output: z.object({}), http: 'GET /v1/loans' });
// @ts-expect-error the same, with a detailed HTTP binding
loans.command('drop', { input: z.strictObject({}), http: { route: 'POST /v1/drops', status: 202 } });
// @ts-expect-error an undefined policy
loans.query('all', { input: z.strictObject({}), output: z.object({}), http: 'GET /v1', access: undefined });
// @ts-expect-error a policy that is no text
loans.query('any', { input: z.strictObject({}), output: z.object({}), http: 'GET /v1', access: 7 });
// @ts-expect-error a policy without a route
loans.query('in', { input: z.strictObject({}), output: z.object({}), access: 'operator' });
// @ts-expect-error a query without an output
loans.query('ask', { input: z.strictObject({}) });
