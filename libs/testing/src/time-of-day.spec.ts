import { afterEach, expect, it } from '@jest/globals';
import { shiftSystemTime } from './time-of-day.ts';

const hour = 3_600_000;

afterEach(() => shiftSystemTime(0));

it('shifts the time of day, which goes on, and restores it', async () => {
  const began = Date.now();
  shiftSystemTime(-hour);
  expect(Date.now() - began).toBeLessThan(-hour + 5_000);
  expect(new Date().getTime() - began).toBeLessThan(-hour + 5_000);
  expect(new Date()).toBeInstanceOf(Date);
  expect(new Date(0).toISOString()).toBe('1970-01-01T00:00:00.000Z');
  expect(Date.parse(Date())).toBeLessThan(began - hour + 5_000);
  const before = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(Date.now()).toBeGreaterThan(before);
  shiftSystemTime(0);
  expect(Date.now()).toBeGreaterThanOrEqual(began);
});
