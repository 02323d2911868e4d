import { describe, expect, it } from '@jest/globals';
import { parseSplitKey, toSplitKey, TrafficSplit, versionFor } from './split.ts';

const members = Array.from(
  { length: 20_000 },
  (_, nth) => `0198c9a1-0000-7000-8000-${String(nth).padStart(12, '0')}`,
);
const selectMembers = (shares: Record<string, number>, version: string | undefined) =>
  members.filter((member) => versionFor(shares, toSplitKey(member)) === version);

describe('a traffic split', () => {
  it('gives each version its share, even of members with similar ids', () => {
    const shares = { '1.4.0': 10, '1.5.0': 5 };
    // Six standard deviations of a fair draw: 42 and 31 members.
    expect(Math.abs(selectMembers(shares, '1.4.0').length - 2_000)).toBeLessThan(255);
    expect(Math.abs(selectMembers(shares, '1.5.0').length - 1_000)).toBeLessThan(186);
    expect(selectMembers({ '1.4.0': 0 }, '1.4.0')).toEqual([]);
    expect(selectMembers({ '1.4.0': 60, '1.5.0': 40 }, undefined)).toEqual([]);
  });

  it('keeps the members of a version when its share grows', () => {
    const before = selectMembers({ '1.4.0': 10 }, '1.4.0');
    const after = new Set(selectMembers({ '1.4.0': 50 }, '1.4.0'));
    expect(before.every((member) => after.has(member))).toBe(true);
  });

  it('selects the same side for a member in every service', () => {
    const newLoans = selectMembers({ '2.0': 10 }, '2.0');
    expect(selectMembers({ '7.1': 10 }, '7.1')).toEqual(newLoans);
    const more = new Set(selectMembers({ '7.1': 20 }, '7.1'));
    expect(newLoans.every((member) => more.has(member))).toBe(true);
  });

  it('has 10,000 keys, which shares divide exactly', () => {
    const keys = Array.from({ length: 10_000 }, (_, key) => key);
    expect(keys.filter((key) => versionFor({ '2': 12.34 }, key) === '2')).toHaveLength(1_234);
    expect(keys.filter((key) => versionFor({ '2': 100 }, key) === '2')).toHaveLength(10_000);
    expect([0, 9_999].map(parseSplitKey)).toEqual([0, 9_999]);
    for (const wrong of [-1, 10_000, 0.5, NaN, '1', null, undefined, {}])
      expect(parseSplitKey(wrong)).toBeUndefined();
  });

  it('selects at random without a key', () => {
    const versions = Array.from({ length: 400 }, () => versionFor({ '2': 50 }, undefined));
    expect(new Set(versions)).toEqual(new Set(['2', undefined]));
  });

  it('accepts at most 100 % in total, and only valid versions', () => {
    expect(TrafficSplit.safeParse({ loans: { a: 33.3, b: 33.3, c: 33.4 } }).success).toBe(true);
    for (const shares of [{ a: 60, b: 41 }, { a: -1 }, { a: 101 }, { 'a b': 1 }, { 'a@b': 1 }, { a: '10' }])
      expect(TrafficSplit.safeParse({ loans: shares }).success).toBe(false);
  });
});
