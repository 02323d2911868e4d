import type { IncomingHttpHeaders } from 'node:http';
import type { HttpBinding } from '@jogakbo/contract';
import { RemoteFault } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';

/** An answer as it is sent. */
export interface Representation {
  text: string;
  etag: string;
}

/** A representation, and since when it is known (milliseconds of `performance.now()`). */
interface CachedAnswer extends Representation {
  at: number;
}

/** `stale`: by so many seconds older than it should be; its service did not answer. */
type Read = CachedAnswer & { stale?: number };

/** What a reader wants: one that asks `anew` gets what is true now, or, where it takes `old` ones, the last that was. */
interface Wish {
  anew: boolean;
  old: boolean;
}

/** Characters of answers and of what asked for them, at most; the one that was not used for longest goes first. */
const mostKept = 8_000_000;
/** What each takes beside its characters. */
const overhead = 200;

/** Whether a reader wants nothing that was known before (Cache-Control: no-cache). */
export const insistsOnNew = ({ 'cache-control': wanted }: IncomingHttpHeaders): boolean =>
  wanted !== undefined && /no-cache|no-store/.test(wanted);

/** True for faults that say: nobody was there to answer. */
export const isAway = (error: unknown): boolean =>
  error instanceof RemoteFault && (error.code === 'unavailable' || error.code === 'timeout');

/**
 * Public reads of those who are not signed in, which are the same for everybody.
 *
 * - All that come in the same turn of the event loop are one: the question leaves after the last of them has come.
 * - Where the contract says that an answer may be some seconds old, those under way at the same time are one as well, and
 *   the answer is kept. A change that goes through this gateway ends what is kept of its service, and nobody is given
 *   what was asked for before it.
 * - Where the contract allows it, an answer is kept for longer, and given only while the service does not answer.
 */
@Injectable()
export class PublicReads {
  readonly #kept = new LRUCache<string, CachedAnswer>({
    maxSize: mostKept,
    sizeCalculation: ({ text }, key) => text.length + key.length + overhead,
  });
  readonly #underWay = new Map<string, Promise<CachedAnswer>>();
  readonly #ofThisTurn = new Map<string, Promise<Representation>>();
  /** How often each service was changed: part of every key, so that what was known before is not found any more. */
  readonly #changes = new Map<string, number>();

  /**
   * For a read that must not be older than its request.
   * @param key all that the answer depends on
   * @param ask asks the service, and leaves no earlier than at the end of this turn; what it throws, all get
   */
  now(key: string, ask: () => Promise<Representation>): Promise<Representation> {
    const asked = this.#ofThisTurn.get(key);
    if (asked) return asked;
    // What is asked leaves at the end of this turn as well, and no earlier than this.
    if (this.#ofThisTurn.size === 0) setImmediate(() => this.#ofThisTurn.clear());
    const first = ask();
    this.#ofThisTurn.set(key, first);
    return first;
  }

  /**
   * @param key all that the answer depends on
   * @param cache as the contract declares it
   * @param ask asks the service; what it throws, everybody gets who waits for the same, but who can be given an old one
   */
  async read(
    service: string,
    key: string,
    cache: NonNullable<HttpBinding['cache']>,
    { anew, old }: Wish,
    ask: () => Promise<Representation>,
  ): Promise<Read> {
    const name = `${service} ${this.#changes.get(service) ?? 0} ${key}`;
    const kept = this.#kept.get(name);
    if (kept && !anew && getAge(kept) < cache.maxAge) return kept;
    const underWay = anew ? undefined : this.#underWay.get(name);
    try {
      return await (underWay ?? this.#ask(name, cache, anew, ask));
    } catch (error) {
      const last = this.#kept.get(name);
      if (!last || !old || !isAway(error)) throw error;
      return { ...last, stale: Math.max(0, getAge(last) - cache.maxAge) };
    }
  }

  #ask(
    name: string,
    { maxAge, staleIfError = 0 }: NonNullable<HttpBinding['cache']>,
    anew: boolean,
    ask: () => Promise<Representation>,
  ): Promise<CachedAnswer> {
    // Its age begins when it is asked for: what happens to the thing later may be missing.
    const at = performance.now();
    const asked = ask().then((answer) => {
      const known = { ...answer, at };
      const ttl = (maxAge + staleIfError) * 1_000 - (performance.now() - at);
      if (ttl > 0 && (!anew || staleIfError > 0)) this.#kept.set(name, known, { ttl });
      return known;
    });
    if (anew) return asked;
    const shared = asked.finally(() => this.#underWay.delete(name));
    this.#underWay.set(name, shared);
    return shared;
  }

  /** To be called when a change of a service has ended, however it ended. */
  changed(service: string): void {
    this.#changes.set(service, (this.#changes.get(service) ?? 0) + 1);
  }
}

const getAge = ({ at }: CachedAnswer): number => (performance.now() - at) / 1_000;
