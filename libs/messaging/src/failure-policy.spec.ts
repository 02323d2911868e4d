import { describe, expect, it } from '@jest/globals';
import type { Incoming } from './decoding.ts';
import { createUnknownPatternError, decideOnFailure } from './failure-policy.ts';

const createRequest = (remainingMs: number | undefined, replyTo: string | undefined = 'reply.shop.1') =>
  ({
    pattern: 'tomes.newer',
    replyTo,
    callContext: remainingMs === undefined ? {} : { deadline: Date.now() + remainingMs },
  }) as Incoming;
const decide = (request: Incoming) =>
  decideOnFailure(createUnknownPatternError('tomes', request), 'queries', request);

describe('a request without a handler here', () => {
  it('returns to its queue while its caller waits', () => {
    expect(decide(createRequest(5_000))).toBe('requeue');
    expect(decide(createRequest(60_000))).toBe('requeue');
  });

  it.each([3_600_000, Infinity, -1, undefined])(
    'is answered at once if its sender wrote a deadline in %d ms',
    (remainingMs) => {
      expect(decide(createRequest(remainingMs))).toBe('answer');
    },
  );
});
