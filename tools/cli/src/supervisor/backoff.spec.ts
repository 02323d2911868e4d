import { describe, expect, it } from '@jest/globals';
import { Backoff } from './backoff.ts';

describe('Backoff', () => {
  it('doubles from half a second to fifteen seconds', () => {
    const backoff = new Backoff();
    expect(Array.from({ length: 7 }, () => backoff.getNextDelay(10))).toEqual([
      500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000,
    ]);
  });

  it('resets after thirty seconds of uptime', () => {
    const backoff = new Backoff();
    backoff.getNextDelay(10);
    backoff.getNextDelay(29_999);
    expect(backoff.getNextDelay(30_000)).toBe(500);
  });
});
