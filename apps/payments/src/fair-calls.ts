import { Injectable } from '@nestjs/common';

/** Concurrent provider calls per member. */
const maxCallsPerMember = 4;
/** From so many calls in total, one call per member. Half of the commands that an instance handles at a time. */
const busyThreshold = 32;
/** Least delay of a deferred command, and interval between the deferred commands of one member. */
const minDelayMs = 500;
const spacingMs = 250;

/**
 * A bulkhead per member. A provider call may take seconds and occupies one of the command slots of the instance: one
 * member with slow payments must not occupy them all.
 */
@Injectable()
export class FairCalls {
  readonly #members = new Map<string, { active: number; deferredUntil: number }>();
  #active = 0;

  /**
   * Runs the calls of one command, or defers the command if the member has reached the limit. This can reorder commands
   * about one payment; they are valid in every order.
   * @param defer resends the command after this many milliseconds
   */
  async run(memberId: string, defer: (delay: number) => void, calls: () => Promise<void>): Promise<void> {
    const member = this.#members.get(memberId) ?? { active: 0, deferredUntil: 0 };
    if (member.active >= (this.#active < busyThreshold ? maxCallsPerMember : 1)) {
      // Spaced, so that hundreds of deferred commands do not arrive together again.
      const now = performance.now();
      member.deferredUntil = Math.max(now + minDelayMs, member.deferredUntil + spacingMs);
      return defer(member.deferredUntil - now);
    }
    this.#members.set(memberId, member);
    member.active += 1;
    this.#active += 1;
    try {
      await calls();
    } finally {
      member.active -= 1;
      this.#active -= 1;
      if (member.active === 0) this.#members.delete(memberId);
    }
  }
}
