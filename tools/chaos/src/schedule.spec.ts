import { describe, expect, it } from '@jest/globals';
import { Random } from './random.ts';
import { faultNames, schedule } from './schedule.ts';

describe('a schedule', () => {
  it('depends on the seed only', () => {
    expect(schedule(7, 600, faultNames)).toEqual(schedule(7, 600, faultNames));
    expect(schedule(7, 600, faultNames)).not.toEqual(schedule(8, 600, faultNames));
  });

  it.each([1, 2, 3, 4, 5])('for ten minutes has at least 40 faults, and every kind (seed %i)', (seed) => {
    const planned = schedule(seed, 600, faultNames);
    expect(planned.length).toBeGreaterThanOrEqual(40);
    expect(new Set(planned.map(({ fault }) => fault)).size).toBe(faultNames.length);
    expect(planned.every(({ at }) => at >= 4 && at < 595)).toBe(true);
  });

  it('contains only the requested faults', () => {
    expect(new Set(schedule(1, 120, ['kill']).map(({ fault }) => fault))).toEqual(new Set(['kill']));
    expect(schedule(1, 120, [])).toEqual([]);
  });
});

describe('random numbers', () => {
  it('are uniform, and differ by name', () => {
    const random = new Random(1, 'a');
    const draws = Array.from({ length: 10_000 }, () => random.next());
    expect(Math.min(...draws)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...draws)).toBeLessThan(1);
    expect(draws.reduce((sum, draw) => sum + draw, 0) / draws.length).toBeCloseTo(0.5, 1);
    expect(new Random(1, 'a').uuid()).toBe(new Random(1, 'a').uuid());
    expect(new Random(1, 'a').uuid()).not.toBe(new Random(1, 'b').uuid());
  });
});
