import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CallPolicy } from '@jogakbo/contract';
import { CallGuard, CallRejected, type Call } from './call-guard.ts';

class CalleeDown extends Error {}
class Rejected extends Error {}

const policy = CallPolicy.parse({ calls: 4, failures: 0.5, openFor: 1_000, concurrency: 2, queue: 1 });
const call = (fields: Partial<Call> = {}): Call => ({
  ...{ callee: 'search', policy, safe: false, deadline: Date.now() + 60_000 },
  ...fields,
});
const failAsDown = () => Promise.reject(new CalleeDown());
const succeed = () => Promise.resolve('fine');

describe('CallGuard', () => {
  let guard: CallGuard;
  let override: Partial<CallPolicy>;
  beforeEach(() => {
    jest.useFakeTimers();
    override = {};
    const isDownError = (error: unknown) => error instanceof CalleeDown;
    guard = new CallGuard({ isDown: isDownError, canRetry: isDownError, override: () => override });
  });
  afterEach(() => void jest.useRealTimers());

  const fail = async (times: number) => {
    for (let i = 0; i < times; i++) await guard.run(call(), failAsDown).catch(() => {});
  };
  const state = () => guard.states[0]!;

  it('opens the circuit after too many failures, and lets one call probe the callee after a while', async () => {
    await guard.run(call(), succeed);
    await fail(2);
    expect(state().circuit).toBe('open');
    const attempt = jest.fn(succeed);
    await expect(guard.run(call(), attempt)).rejects.toMatchObject({ callee: 'search', reason: 'open' });
    expect(attempt).not.toHaveBeenCalled();

    jest.advanceTimersByTime(1_000);
    let back = (_: string) => {};
    const tries = guard.run(call(), () => new Promise<string>((resolve) => (back = resolve)));
    await jest.advanceTimersByTimeAsync(0);
    expect(state().circuit).toBe('half-open');
    // The others do not wait for its result.
    await expect(guard.run(call(), attempt)).rejects.toBeInstanceOf(CallRejected);
    back('back');
    await expect(tries).resolves.toBe('back');
    expect(state()).toMatchObject({ circuit: 'closed', refused: { open: 2, full: 0 } });
    await expect(guard.run(call(), attempt)).resolves.toBe('fine');
  });

  it('stays open for the same time again if the probe fails', async () => {
    await fail(2);
    jest.advanceTimersByTime(1_000);
    await fail(1);
    jest.advanceTimersByTime(999);
    await expect(guard.run(call(), succeed)).rejects.toMatchObject({ reason: 'open' });
    jest.advanceTimersByTime(1);
    await expect(guard.run(call(), succeed)).resolves.toBe('fine');
  });

  it('ignores changes of the system clock', async () => {
    await fail(2);
    jest.advanceTimersByTime(1_000);
    jest.setSystemTime(Date.now() - 3_600_000);
    await expect(guard.run(call(), succeed)).resolves.toBe('fine');
  });

  it('does not count a rejection as a failure', async () => {
    for (let i = 0; i < 20; i++) {
      await expect(guard.run(call(), () => Promise.reject(new Rejected()))).rejects.toBeInstanceOf(Rejected);
    }
    expect(state().circuit).toBe('closed');
  });

  it('has a separate circuit for each callee', async () => {
    await fail(2);
    await expect(guard.run(call({ callee: 'chapters' }), succeed)).resolves.toBe('fine');
  });

  it('limits the calls in progress and the waiting calls', async () => {
    const ends: (() => void)[] = [];
    const slow = () => new Promise<string>((resolve) => ends.push(() => resolve('done')));
    const made = [1, 2, 3].map(() => guard.run(call(), slow));
    await jest.advanceTimersByTimeAsync(0);
    expect(state()).toMatchObject({ underWay: 2, waiting: 1 });
    await expect(guard.run(call(), slow)).rejects.toMatchObject({ reason: 'full' });
    expect(ends).toHaveLength(2);
    while (ends.length > 0) {
      ends.pop()!();
      await jest.advanceTimersByTimeAsync(0);
    }
    await expect(Promise.all(made)).resolves.toEqual(['done', 'done', 'done']);
    expect(state()).toMatchObject({ underWay: 0, waiting: 0, refused: { open: 0, full: 1 } });
  });

  it('reports whether the queue is full up to a share', async () => {
    override = { queue: 4 };
    expect(guard.isFull('search')).toBe(false);
    const ends: (() => void)[] = [];
    const begin = () => void guard.run(call(), () => new Promise<void>((resolve) => ends.push(resolve)));
    const isFullFor = async (share: number) => {
      await jest.advanceTimersByTimeAsync(0);
      return guard.isFull('search', share);
    };
    begin();
    expect(await isFullFor(0)).toBe(false); // a slot is free
    begin();
    expect(await isFullFor(0)).toBe(true);
    expect(await isFullFor(0.5)).toBe(false);
    begin();
    begin();
    expect(await isFullFor(0.5)).toBe(true);
    expect(await isFullFor(1)).toBe(false);
    begin();
    begin();
    expect(await isFullFor(1)).toBe(true);
    ends[0]!();
    expect(await isFullFor(1)).toBe(false);
  });

  /** Fails a number of times, then answers. */
  const failTimes = (times: number) => jest.fn(() => (times-- > 0 ? failAsDown() : succeed()));
  const withTimers = async <T>(made: Promise<T>): Promise<T> => {
    made.catch(() => {});
    await jest.advanceTimersByTimeAsync(5_000);
    return made;
  };

  it('retries safe calls only', async () => {
    await expect(withTimers(guard.run(call({ safe: true }), failTimes(1)))).resolves.toBe('fine');
    expect(state().retried).toBe(1);
    const command = failTimes(1);
    await expect(withTimers(guard.run(call(), command))).rejects.toBeInstanceOf(CalleeDown);
    expect(command).toHaveBeenCalledTimes(1);
  });

  it('does not retry after the deadline', async () => {
    const late = failTimes(1);
    await expect(guard.run(call({ safe: true, deadline: Date.now() }), late)).rejects.toBeInstanceOf(
      CalleeDown,
    );
    expect(late).toHaveBeenCalledTimes(1);
  });

  it('limits retries to a tenth of the calls while all calls fail', async () => {
    override = { failures: 0.99, calls: 1_000 };
    const attempt = jest.fn(failAsDown);
    for (let i = 0; i < 500; i++) {
      await expect(withTimers(guard.run(call({ safe: true }), attempt))).rejects.toThrow();
    }
    // The initial budget counts too.
    expect(attempt.mock.calls.length).toBeGreaterThan(540);
    expect(attempt.mock.calls.length).toBeLessThanOrEqual(551);
  });

  it('applies a changed policy from the next call on', async () => {
    await fail(2);
    override = { failures: 0.9 };
    await expect(guard.run(call(), succeed)).resolves.toBe('fine');
  });
});
