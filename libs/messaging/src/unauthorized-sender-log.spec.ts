import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { UnauthorizedSenderLog } from './unauthorized-sender-log.ts';

describe('the log of refused messages', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  it('has one line per sender and second, with the number of messages', () => {
    const warn = jest.fn();
    const log = new UnauthorizedSenderLog({ warn });
    const lines = () =>
      warn.mock.calls.splice(0).map(([fields]) => {
        const { sender, count } = fields as { sender: string; count: number };
        return [sender, count];
      });
    const add = (sender: string | undefined, times: number) => {
      for (let i = 0; i < times; i++) log.add(sender, { queue: 'shop.commands', reason: 'not a caller' });
    };
    add('search', 500);
    add('other', 1);
    add(undefined, 2);
    expect(lines()).toEqual([
      ['search', 1],
      ['other', 1],
      ['', 1],
    ]);
    jest.advanceTimersByTime(1_000);
    expect(lines()).toEqual([
      ['search', 499],
      ['', 1],
    ]);
    add('search', 3);
    expect(lines()).toEqual([]);
    jest.advanceTimersByTime(1_000);
    expect(lines()).toEqual([['search', 3]]);
    jest.advanceTimersByTime(1_000);
    expect(lines()).toEqual([]);
    add('search', 1);
    expect(lines()).toEqual([['search', 1]]);
  });
});
