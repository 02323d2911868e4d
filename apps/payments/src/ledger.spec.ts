import { describe, expect, it } from '@jest/globals';
import { createPostings, type Posting } from './ledger.ts';

const sum = (postings: Posting[]) => postings.reduce((total, { amount }) => total + amount, 0);
const money = { amount: 42_000, currency: 'KRW' };

describe('ledger', () => {
  it('debits the provider and credits sales for a capture', () => {
    expect(createPostings('captured', money)).toEqual([
      { account: 'provider-receivable', amount: 42_000, currency: 'KRW' },
      { account: 'sales', amount: -42_000, currency: 'KRW' },
    ]);
  });

  it('does the reverse for a refund', () => {
    expect(createPostings('refunded', money)).toEqual([
      { account: 'provider-receivable', amount: -42_000, currency: 'KRW' },
      { account: 'sales', amount: 42_000, currency: 'KRW' },
    ]);
  });

  it.each([0, 1, 42_000, Number.MAX_SAFE_INTEGER])('balances for %i', (amount) => {
    expect(sum(createPostings('captured', { ...money, amount }))).toBe(0);
    expect(sum(createPostings('refunded', { ...money, amount }))).toBe(0);
  });

  it('posts nothing for an amount of 0', () => {
    expect(createPostings('captured', { ...money, amount: 0 })).toEqual([]);
  });
});
