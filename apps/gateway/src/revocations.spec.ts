import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Revocations } from './revocations.ts';

const minute = 60_000;

describe('the list of revoked access tokens', () => {
  const now = Date.now();
  const token = (sessionId: string, expiresAt: number, memberId = 'm') => ({
    caller: { memberId, roles: [], sessionId },
    generation: 0,
    expiresAt,
  });
  const list = () => {
    const revocations = new Revocations({} as never, {} as never);
    const add = (sessionId: string, until: number) =>
      revocations.add({ memberId: randomUUID(), sessionId, until: new Date(until).toISOString() });
    return { revocations, add };
  };

  it('is replaced by an expiry cutoff for the oldest tokens once it is full', () => {
    const { revocations, add } = list();
    const oldest = randomUUID();
    add(randomUUID(), now - 1);
    add(oldest, now + minute);
    for (let nth = 1; nth < 20_000; nth += 1) add(randomUUID(), now + 2 * minute);
    expect(revocations.isRevoked(token(oldest, now + minute))).toBe(true);
    expect(revocations.isRevoked(token(randomUUID(), now + minute))).toBe(false);
    add(randomUUID(), now + 2 * minute);
    expect(revocations.isRevoked(token(oldest, now + minute))).toBe(true);
    expect(revocations.isRevoked(token(randomUUID(), now + minute))).toBe(true);
    expect(revocations.isRevoked(token(randomUUID(), now + minute + 1))).toBe(false);
  });

  it('distinguishes a session and a member with the same id', () => {
    const { revocations, add } = list();
    const id = randomUUID();
    add(id, now + minute);
    expect(revocations.isRevoked(token(randomUUID(), now + minute, id))).toBe(false);
  });
});
