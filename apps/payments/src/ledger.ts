import type { Money } from '@jogakbo/contract';

/** `provider-receivable`: what the provider owes the store. `sales`: what the store has earned. */
export type Account = 'provider-receivable' | 'sales';

/** One line of a transaction, in minor units: debit positive, credit negative. */
export interface Posting {
  account: Account;
  amount: number;
  currency: string;
}

/** Money was taken. The postings of one transaction add up to nothing; where no money moved there are none. */
export const captured = ({ amount, currency }: Money): Posting[] =>
  amount === 0
    ? []
    : [
        { account: 'provider-receivable', amount, currency },
        { account: 'sales', amount: -amount, currency },
      ];

/** Money was given back: what `captured` posted, the other way round. */
export const refunded = (money: Money): Posting[] =>
  captured(money).map((posting) => ({ ...posting, amount: -posting.amount }));
