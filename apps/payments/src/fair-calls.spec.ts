import { describe, expect, it } from '@jest/globals';
import { FairCalls } from './fair-calls.ts';

/** Commands whose calls end on demand. */
function createCommands(calls: FairCalls) {
  const deferred: { memberId: string; dueAt: number; delay: number }[] = [];
  const ends: (() => void)[] = [];
  const run = (memberId: string) =>
    calls.run(
      memberId,
      (delay) => void deferred.push({ memberId, delay, dueAt: performance.now() + delay }),
      () => new Promise((resolve) => void ends.push(resolve)),
    );
  return { deferred, ends, run };
}

describe('fair calls', () => {
  it('defers commands above the limit of a member, spaced, and runs those of others', async () => {
    const { deferred, ends, run } = createCommands(new FairCalls());
    const running = Array.from({ length: 10 }, () => run('slow'));
    const other = run('other');
    expect(ends).toHaveLength(5);
    expect(deferred).toHaveLength(6);
    const gaps = deferred.slice(1).map(({ dueAt }, i) => dueAt - deferred[i]!.dueAt);
    expect(Math.min(...gaps)).toBeGreaterThan(249);
    expect(deferred[0]!.delay).toBeGreaterThan(400);
    for (const end of ends) end();
    await Promise.all([...running, other]);
  });

  it('frees the slot after a call, even a failed one', async () => {
    const calls = new FairCalls();
    const fail = () =>
      calls.run(
        'one',
        () => {},
        () => Promise.reject(new Error('provider')),
      );
    for (let i = 0; i < 10; i++) await expect(fail()).rejects.toThrow('provider');
    const { ends, run } = createCommands(calls);
    const again = run('one');
    expect(ends).toHaveLength(1);
    ends[0]!();
    await again;
  });

  it('limits each member to one call when many members are slow', async () => {
    const { deferred, ends, run } = createCommands(new FairCalls());
    for (let member = 0; member < 16; member++) for (let i = 0; i < 4; i++) void run(`slow ${member}`);
    expect(ends).toHaveLength(32 + 8);
    expect(deferred).toHaveLength(24);
    void run('another');
    expect(ends).toHaveLength(32 + 8 + 1);
  });
});
