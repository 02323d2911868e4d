import { describe, expect, it } from '@jest/globals';
import { postingsOf, type Posting } from './ledger.ts';

const sum = (postings: Posting[]) => postings.reduce((total, { amount }) => total + amount, 0);
const money = { amount: 42_000, currency: 'KRW' };

describe('ledger', () => {
  it('debits the provider and credits sales when money is taken', () => {
    expect(postingsOf('captured', money)).toEqual([
      { account: 'provider-receivable', amount: 42_000, currency: 'KRW' },
      { account: 'sales', amount: -42_000, currency: 'KRW' },
    ]);
  });

  it('does the reverse when it is given back', () => {
    expect(postingsOf('refunded', money)).toEqual([
      { account: 'provider-receivable', amount: -42_000, currency: 'KRW' },
      { account: 'sales', amount: 42_000, currency: 'KRW' },
    ]);
  });

  it.each([0, 1, 42_000, Number.MAX_SAFE_INTEGER])('balances for %i', (amount) => {
    expect(sum(postingsOf('captured', { ...money, amount }))).toBe(0);
    expect(sum(postingsOf('refunded', { ...money, amount }))).toBe(0);
  });

  it('posts nothing where nothing moved', () => {
    expect(postingsOf('captured', { ...money, amount: 0 })).toEqual([]);
  });
});
