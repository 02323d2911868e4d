import { describe, expect, it } from '@jest/globals';
import { WakeableSleep } from './wakeable-sleep.ts';

describe('a wakeable sleep', () => {
  const measure = async (work: () => Promise<void>) => {
    const start = performance.now();
    // The timer of the sleep does not keep the process alive.
    const keepAlive = setInterval(() => {}, 1_000);
    await work();
    clearInterval(keepAlive);
    return performance.now() - start;
  };

  it('ends after its time', async () => {
    expect(await measure(() => new WakeableSleep().sleep(50))).toBeGreaterThan(45);
  });

  it('ends early when it is woken', async () => {
    const pause = new WakeableSleep();
    setTimeout(() => pause.wake(), 10);
    expect(await measure(() => pause.sleep(60_000))).toBeLessThan(10_000);
  });

  it('is not shortened by an earlier wake-up', async () => {
    const pause = new WakeableSleep();
    pause.wake();
    const first = pause.sleep(60_000);
    pause.wake();
    pause.wake();
    await first;
    expect(await measure(() => pause.sleep(50))).toBeGreaterThan(45);
  });
});
