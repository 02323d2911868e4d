import type { IncomingHttpHeaders } from 'node:http';
import type { HttpBinding } from '@jogakbo/contract';
import { RemoteFault } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { Representation } from './representation.ts';

/** A response with the time of its request (milliseconds of `performance.now()`). */
interface CachedRepresentation {
  representation: Representation;
  at: number;
}

/** `stale`: seconds beyond `maxAge`, set if the service was unreachable. */
type Read = CachedRepresentation & { stale?: number };

/** `fresh` bypasses the cache; `allowStale` permits the last response if the service is unreachable. */
interface Freshness {
  fresh: boolean;
  allowStale: boolean;
}

/** Maximum size of the cache in characters, responses and keys. The least recently used entry is evicted first. */
const maxCacheSize = 8_000_000;
/** A response counts this often, because of its compressed forms. */
const sizeFactor = 1.5;
/** Additional size of each entry. */
const entryOverhead = 200;

/** Whether the client rejects cached responses (Cache-Control: no-cache). */
export const isNoCache = ({ 'cache-control': control }: IncomingHttpHeaders): boolean =>
  control !== undefined && /no-cache|no-store/.test(control);

/** True for faults of a service that did not answer. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof RemoteFault && (error.code === 'unavailable' || error.code === 'timeout');

/**
 * Request coalescing and caching for anonymous public reads, which have the same response for all clients.
 *
 * - Equal reads of one event-loop iteration share one call, which is sent after the last of them has arrived.
 * - If the contract sets `cache.maxAge`, concurrent reads share one call as well, and the response is cached. A change
 *   through this gateway invalidates the cached responses of its service, and those of calls already in flight.
 * - If the contract sets `staleIfError`, a response is kept longer, for use only while the service is unreachable.
 */
@Injectable()
export class PublicReads {
  readonly #cache = new LRUCache<string, CachedRepresentation>({
    maxSize: maxCacheSize,
    sizeCalculation: ({ representation: { text } }, key) =>
      Math.ceil(sizeFactor * text.length) + key.length + entryOverhead,
  });
  readonly #inFlight = new Map<string, Promise<CachedRepresentation>>();
  readonly #currentBatch = new Map<string, Promise<Representation>>();
  /** Number of changes per service. Part of every cache key, so that older entries are not found. */
  readonly #changes = new Map<string, number>();

  /**
   * Shares one call among equal reads, each of which gets a response newer than its request.
   * @param key everything that the response depends on
   * @param load calls the service no earlier than at the end of this event-loop iteration; all readers get its error
   */
  coalesce(key: string, load: () => Promise<Representation>): Promise<Representation> {
    const shared = this.#currentBatch.get(key);
    if (shared) return shared;
    // Runs at the end of this iteration, no later than the calls are sent.
    if (this.#currentBatch.size === 0) setImmediate(() => this.#currentBatch.clear());
    const first = load();
    this.#currentBatch.set(key, first);
    return first;
  }

  /**
   * @param key everything that the response depends on
   * @param cache of the contract
   * @param load calls the service; all waiting readers without a stale response get its error
   */
  async read(
    service: string,
    key: string,
    cache: NonNullable<HttpBinding['cache']>,
    { fresh, allowStale }: Freshness,
    load: () => Promise<Representation>,
  ): Promise<Read> {
    const name = `${service} ${this.#changes.get(service) ?? 0} ${key}`;
    const cached = this.#cache.get(name);
    if (cached && !fresh && getAge(cached) < cache.maxAge) return cached;
    const inFlight = fresh ? undefined : this.#inFlight.get(name);
    try {
      return await (inFlight ?? this.#load(name, cache, fresh, load));
    } catch (error) {
      const last = this.#cache.get(name);
      if (!last || !allowStale || !isUnreachable(error)) throw error;
      return { ...last, stale: Math.max(0, getAge(last) - cache.maxAge) };
    }
  }

  #load(
    name: string,
    { maxAge, staleIfError = 0 }: NonNullable<HttpBinding['cache']>,
    fresh: boolean,
    load: () => Promise<Representation>,
  ): Promise<CachedRepresentation> {
    // The age starts at the request: the response may miss changes made after it.
    const at = performance.now();
    const loaded = load().then((representation) => {
      const cached = { representation, at };
      const ttl = (maxAge + staleIfError) * 1_000 - (performance.now() - at);
      if (ttl > 0 && (!fresh || staleIfError > 0)) this.#cache.set(name, cached, { ttl });
      return cached;
    });
    if (fresh) return loaded;
    const shared = loaded.finally(() => this.#inFlight.delete(name));
    this.#inFlight.set(name, shared);
    return shared;
  }

  /** Must be called after every change of a service, successful or not. */
  invalidate(service: string): void {
    this.#changes.set(service, (this.#changes.get(service) ?? 0) + 1);
  }
}

const getAge = ({ at }: CachedRepresentation): number => (performance.now() - at) / 1_000;
