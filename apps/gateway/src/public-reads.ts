import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';

/** An answer as it is sent. */
export interface Representation {
  text: string;
  etag: string;
}

/** A representation, and since when it is known (milliseconds of `performance.now()`). */
interface Kept extends Representation {
  at: number;
}

/** Characters of answers that are kept at most; the one that was not used for longest goes first. */
const mostKept = 8_000_000;

/**
 * Public reads that are the same for everybody, and may be so for a while because their contract says so: those under
 * way at the same time are one, and the answer is kept. A change that goes through this gateway ends what is kept of
 * its service, and nobody is given what was asked for before it.
 */
@Injectable()
export class PublicReads {
  readonly #kept = new LRUCache<string, Kept>({
    maxSize: mostKept,
    sizeCalculation: ({ text }) => text.length + 1,
  });
  readonly #underWay = new Map<string, Promise<Kept>>();
  /** How often each service was changed: part of every key, so that what was known before is not found any more. */
  readonly #changes = new Map<string, number>();

  /**
   * @param key all that the answer depends on
   * @param maxAge in seconds
   * @param ask asks the service; what it throws, everybody gets who waits for the same
   */
  read(service: string, key: string, maxAge: number, ask: () => Promise<Representation>): Promise<Kept> {
    const name = `${service} ${this.#changes.get(service) ?? 0} ${key}`;
    const kept = this.#kept.get(name);
    if (kept) return Promise.resolve(kept);
    const underWay = this.#underWay.get(name);
    if (underWay) return underWay;
    // Its age begins when it is asked for: what happens to the thing later may be missing.
    const at = performance.now();
    const asked = ask()
      .then((answer) => {
        const known = { ...answer, at };
        const ttl = maxAge * 1_000 - (performance.now() - at);
        if (ttl > 0) this.#kept.set(name, known, { ttl });
        return known;
      })
      .finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, asked);
    return asked;
  }

  /** To be called when a change of a service has ended, however it ended. */
  changed(service: string): void {
    this.#changes.set(service, (this.#changes.get(service) ?? 0) + 1);
  }
}
