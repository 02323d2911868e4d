import { Injectable } from '@nestjs/common';

/** Provider calls under way for one member. */
const perMember = 4;
/** Past so many for all members, one at a time for each. Half of the commands that an instance takes at once. */
const crowded = 32;
/** Milliseconds until a deferred command comes again, and between those of one member. */
const shortest = 500;
const spacing = 250;

/**
 * Shares the provider among members. A call may take seconds, and each one holds one of the places that an instance has
 * for commands: a member whose cards are slow must not take them all.
 */
@Injectable()
export class FairCalls {
  readonly #members = new Map<string, { underWay: number; deferredUntil: number }>();
  #underWay = 0;

  /**
   * Makes the calls of one command, or defers the command where the member has its share of calls under way. Commands
   * about one payment may then change places; each is right whenever it comes.
   * @param defer has the command sent again after so many milliseconds
   */
  async run(memberId: string, defer: (delay: number) => void, calls: () => Promise<void>): Promise<void> {
    const member = this.#members.get(memberId) ?? { underWay: 0, deferredUntil: 0 };
    if (member.underWay >= (this.#underWay < crowded ? perMember : 1)) {
      // Spaced: hundreds that came together would otherwise come again together, again and again.
      const now = performance.now();
      member.deferredUntil = Math.max(now + shortest, member.deferredUntil + spacing);
      return defer(member.deferredUntil - now);
    }
    this.#members.set(memberId, member);
    member.underWay += 1;
    this.#underWay += 1;
    try {
      await calls();
    } finally {
      member.underWay -= 1;
      this.#underWay -= 1;
      if (member.underWay === 0) this.#members.delete(memberId);
    }
  }
}
