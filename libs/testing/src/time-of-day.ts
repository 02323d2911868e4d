import { jest } from '@jest/globals';

const others = [
  ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
  ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
];

/**
 * Moves the time of day of this process; timers and all other clocks go on as they are.
 * @param by milliseconds, less than 0 for the past; 0 sets it right again
 */
export function moveTimeOfDay(by: number): void {
  jest.useRealTimers();
  if (by !== 0) jest.useFakeTimers({ now: Date.now() + by, advanceTimers: true, doNotFake: others });
}
