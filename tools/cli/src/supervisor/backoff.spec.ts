import { describe, expect, it } from '@jest/globals';
import { Backoff } from './backoff.ts';

describe('Backoff', () => {
  it('doubles from half a second to fifteen seconds', () => {
    const backoff = new Backoff();
    expect(Array.from({ length: 7 }, () => backoff.getAfterLife(10))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000,
    ]);
  });

  it('resets after thirty seconds of uptime', () => {
    const backoff = new Backoff();
    backoff.getAfterLife(10);
    backoff.getAfterLife(29_999);
    expect(backoff.getAfterLife(30_000)).toBe(500);
  });
});
