import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CallPolicy } from '@jogakbo/contract';
import { CallGuard, CallRefused, type Call } from './call-guard.ts';

class Away extends Error {}
class No extends Error {}

const policy = CallPolicy.parse({ calls: 4, failures: 0.5, openFor: 1_000, concurrency: 2, queue: 1 });
const call = (fields: Partial<Call> = {}): Call => ({
  ...{ callee: 'search', policy, safe: false, deadline: Date.now() + 60_000 },
  ...fields,
});
const away = () => Promise.reject(new Away());
const fine = () => Promise.resolve('fine');

describe('CallGuard', () => {
  let guard: CallGuard;
  let override: Partial<CallPolicy>;
  beforeEach(() => {
    jest.useFakeTimers();
    override = {};
    const isAway = (error: unknown) => error instanceof Away;
    guard = new CallGuard({ isDown: isAway, mayHelp: isAway, override: () => override });
  });
  afterEach(() => void jest.useRealTimers());

  const fail = async (times: number) => {
    for (let i = 0; i < times; i++) await guard.run(call(), away).catch(() => {});
  };
  const state = () => guard.states[0]!;

  it('leaves a callee alone that failed too often, and lets one call try after a while', async () => {
    await guard.run(call(), fine);
    await fail(2);
    expect(state().circuit).toBe('open');
    const attempt = jest.fn(fine);
    await expect(guard.run(call(), attempt)).rejects.toMatchObject({ callee: 'search', reason: 'open' });
    expect(attempt).not.toHaveBeenCalled();

    jest.advanceTimersByTime(1_000);
    let back = (_: string) => {};
    const tries = guard.run(call(), () => new Promise<string>((resolve) => (back = resolve)));
    await jest.advanceTimersByTimeAsync(0);
    expect(state().circuit).toBe('half-open');
    // The others do not wait for what comes of it.
    await expect(guard.run(call(), attempt)).rejects.toBeInstanceOf(CallRefused);
    back('back');
    await expect(tries).resolves.toBe('back');
    expect(state()).toMatchObject({ circuit: 'closed', refused: { open: 2, full: 0 } });
    await expect(guard.run(call(), attempt)).resolves.toBe('fine');
  });

  it('stays open for as long again where that call fails', async () => {
    await fail(2);
    jest.advanceTimersByTime(1_000);
    await fail(1);
    jest.advanceTimersByTime(999);
    await expect(guard.run(call(), fine)).rejects.toMatchObject({ reason: 'open' });
    jest.advanceTimersByTime(1);
    await expect(guard.run(call(), fine)).resolves.toBe('fine');
  });

  it('does not mind that somebody sets the clock', async () => {
    await fail(2);
    jest.advanceTimersByTime(1_000);
    jest.setSystemTime(Date.now() - 3_600_000);
    await expect(guard.run(call(), fine)).resolves.toBe('fine');
  });

  it('takes a "no" for an answer', async () => {
    for (let i = 0; i < 20; i++) {
      await expect(guard.run(call(), () => Promise.reject(new No()))).rejects.toBeInstanceOf(No);
    }
    expect(state().circuit).toBe('closed');
  });

  it('knows each callee by itself', async () => {
    await fail(2);
    await expect(guard.run(call({ callee: 'catalog' }), fine)).resolves.toBe('fine');
  });

  it('bounds the calls under way, and those that wait', async () => {
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

  it('tells who would have to wait behind too many', async () => {
    override = { queue: 4 };
    expect(guard.isFull('search')).toBe(false);
    const ends: (() => void)[] = [];
    const begin = () => void guard.run(call(), () => new Promise<void>((resolve) => ends.push(resolve)));
    const isFullFor = async (share: number) => {
      await jest.advanceTimersByTimeAsync(0);
      return guard.isFull('search', share);
    };
    begin();
    expect(await isFullFor(0)).toBe(false); // there is a place
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

  /** Fails so many times, then answers. */
  const failing = (times: number) => jest.fn(() => (times-- > 0 ? away() : fine()));
  const inTime = async <T>(made: Promise<T>): Promise<T> => {
    made.catch(() => {});
    await jest.advanceTimersByTimeAsync(5_000);
    return made;
  };

  it('tries again what may be made twice, and nothing else', async () => {
    await expect(inTime(guard.run(call({ safe: true }), failing(1)))).resolves.toBe('fine');
    expect(state().retried).toBe(1);
    const command = failing(1);
    await expect(inTime(guard.run(call(), command))).rejects.toBeInstanceOf(Away);
    expect(command).toHaveBeenCalledTimes(1);
  });

  it('does not try again for whom nobody waits any more', async () => {
    const late = failing(1);
    await expect(guard.run(call({ safe: true, deadline: Date.now() }), late)).rejects.toBeInstanceOf(Away);
    expect(late).toHaveBeenCalledTimes(1);
  });

  it('makes no more than a tenth more attempts than calls, while all of them fail', async () => {
    override = { failures: 0.99, calls: 1_000 };
    const attempt = jest.fn(away);
    for (let i = 0; i < 500; i++) {
      await expect(inTime(guard.run(call({ safe: true }), attempt))).rejects.toThrow();
    }
    // What it began with counts too.
    expect(attempt.mock.calls.length).toBeGreaterThan(540);
    expect(attempt.mock.calls.length).toBeLessThanOrEqual(551);
  });

  it('lets a change of policy take effect with the next call', async () => {
    await fail(2);
    override = { failures: 0.9 };
    await expect(guard.run(call(), fine)).resolves.toBe('fine');
  });
});
