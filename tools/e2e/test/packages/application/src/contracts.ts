import { service } from '@jogakbo/contract';
import { z } from 'zod';

export const loans = service('loans', 'Loans of books.');
export const shelves = service('shelves', 'The copies of books.');

const book = { bookId: z.string().max(40) };
const loan = { ...book, loanId: z.uuid() };

export const PlaceLoan = loans.command('place-loan', {
  input: z.strictObject(book),
  output: z.object(loan),
  rejections: { 'unknown-book': 422 },
});
/** `taken` counts the copies that left their shelf for these loans. */
export const CountLoans = loans.query('count-loans', {
  input: z.strictObject(book),
  output: z.object({ placed: z.int(), taken: z.int(), copies: z.int() }),
});
export const LoanPlaced = loans.event('loan-placed', z.object(loan), { subject: 'loanId' });

export const CountCopies = shelves.query('count-copies', {
  input: z.strictObject(book),
  output: z.object({ copies: z.int() }),
});
export const TakeCopy = shelves.command('take-copy', { input: z.strictObject(loan) });
export const CopyTaken = shelves.event('copy-taken', z.object(loan), { subject: 'loanId' });
