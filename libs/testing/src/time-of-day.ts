import { jest } from '@jest/globals';

const unaffectedClocks = [
  ...(['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const),
  ...(['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] as const),
];

/**
 * Shifts the system time of this process; timers and all other clocks are not affected.
 * @param by milliseconds, negative for the past; 0 restores the real time
 */
export function shiftSystemTime(by: number): void {
  jest.useRealTimers();
  if (by !== 0)
    jest.useFakeTimers({ now: Date.now() + by, advanceTimers: true, doNotFake: unaffectedClocks });
}
