import type { Money } from '@jogakbo/contracts-commerce';

/** `provider-receivable`: money that the provider owes the store. `sales`: revenue. */
export type Account = 'provider-receivable' | 'sales';

/** One line of a transaction, in minor units: debit positive, credit negative. */
export interface Posting {
  account: Account;
  amount: number;
  currency: string;
}

/**
 * Creates the postings of a capture or a refund. The postings of one transaction sum to zero; for an amount of 0 there
 * are none.
 */
export function createPostings(type: 'captured' | 'refunded', { amount, currency }: Money): Posting[] {
  if (amount === 0) return [];
  const debit = type === 'captured' ? amount : -amount;
  return [
    { account: 'provider-receivable', amount: debit, currency },
    { account: 'sales', amount: -debit, currency },
  ];
}
