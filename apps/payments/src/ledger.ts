import type { Money } from '@jogakbo/contract';

/** `provider-receivable`: what the provider owes the store. `sales`: what the store has earned. */
export type Account = 'provider-receivable' | 'sales';

/** One line of a transaction, in minor units: debit positive, credit negative. */
export interface Posting {
  account: Account;
  amount: number;
  currency: string;
}

/**
 * What is written down when money was taken (`captured`) or given back (`refunded`). The postings of one transaction
 * add up to nothing; where no money moved there are none.
 */
export function createPostings(what: 'captured' | 'refunded', { amount, currency }: Money): Posting[] {
  if (amount === 0) return [];
  const taken = what === 'captured' ? amount : -amount;
  return [
    { account: 'provider-receivable', amount: taken, currency },
    { account: 'sales', amount: -taken, currency },
  ];
}
