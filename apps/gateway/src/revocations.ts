import { ListRevocations, TokensRevoked, type Revocation } from '@jogakbo/contracts-identity';
import { Ask, BrokerConnection, Listener, RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

/** The claims of an access token that decide whether it is revoked. */
export interface VerifiedToken {
  caller: Caller;
  /** Claim `gen`: the generation of the member's tokens. */
  generation: number;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

/** Maximum number of entries, about 5 MB. The oldest are replaced by the cutoff `#revokedUntil`. */
const maxEntries = 20_000;
/** Milliseconds to wait for the list, which can be long. */
const listTimeoutMs = 15_000;
/** Milliseconds between attempts to fetch the list. */
const retryDelayMs = 500;

/**
 * Revoked access tokens that have not expired, kept in memory by every gateway. Revocations arrive as events. After a start
 * and after every loss of the broker the gateway fetches the whole list, because it may have missed events.
 *
 * Fails closed: until the list is known, requests with a token get 503. While the broker is unreachable, so do requests to
 * non-public routes. Public routes use the last known list.
 */
@Injectable()
export class Revocations implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('revocations');
  readonly #listener: Listener;
  /** Ordered by `until`. */
  readonly #revoked = new Map<string, { until: number; generation: number }>();
  /** Tokens that expire at or before this time are revoked (milliseconds since 1970). */
  #revokedUntil = 0;
  #isKnown = false;
  #isCurrent = false;
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    connection: BrokerConnection,
    private readonly ask: Ask,
  ) {
    this.#listener = new Listener(
      connection,
      ({ pattern, data }) => {
        if (pattern === TokensRevoked.name) this.add(TokensRevoked.input.parse(data));
      },
      () => {
        this.#isCurrent = false;
        void this.#fetchList();
      },
    );
  }

  async onModuleInit(): Promise<void> {
    await this.#listener.open(TokensRevoked.name);
  }

  /** Whether the list is complete: no revocation can have been missed. */
  get isCurrent(): boolean {
    return this.#isCurrent && this.#listener.isOpen;
  }

  /** @throws RemoteFault `unavailable` if the list is not known, or not current for a non-public route */
  mustBeKnown(isPublic: boolean): void {
    if (this.isCurrent || (isPublic && this.#isKnown)) return;
    throw new RemoteFault('unavailable', 'the list of revoked tokens is not current');
  }

  isRevoked({ caller, generation, expiresAt }: VerifiedToken): boolean {
    if (expiresAt <= this.#revokedUntil) return true;
    if (caller.sessionId !== undefined && this.#revoked.has(`session ${caller.sessionId}`)) return true;
    const ofMember = this.#revoked.get(`member ${caller.memberId}`);
    return ofMember !== undefined && generation < ofMember.generation;
  }

  /** Adds an entry and drops expired ones. Beyond the limit, drops the oldest and raises the cutoff. */
  add({ memberId, sessionId, generation = 0, until }: Revocation): void {
    const key = sessionId === undefined ? `member ${memberId}` : `session ${sessionId}`;
    const known = this.#revoked.get(key);
    // Moves the entry to the end, to keep the map ordered by `until`.
    this.#revoked.delete(key);
    this.#revoked.set(key, {
      until: Math.max(Date.parse(until), known?.until ?? 0),
      generation: Math.max(generation, known?.generation ?? 0),
    });
    const now = Date.now();
    for (const [oldest, { until }] of this.#revoked) {
      if (until > now) {
        if (this.#revoked.size <= maxEntries) break;
        this.#revokedUntil = Math.max(this.#revokedUntil, until);
      }
      this.#revoked.delete(oldest);
    }
  }

  /** Retries until it succeeds. Results requested before the latest loss of the broker do not make the list current. */
  async #fetchList(): Promise<void> {
    clearTimeout(this.#retry);
    const attempt = ++this.#attempt;
    try {
      const { revocations, revokedUntil } = await this.ask(ListRevocations, {}, { timeout: listTimeoutMs });
      for (const one of revocations.toReversed()) this.add(one);
      if (revokedUntil) this.#revokedUntil = Math.max(this.#revokedUntil, Date.parse(revokedUntil));
      if (attempt === this.#attempt) this.#isKnown = this.#isCurrent = true;
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#log.debug(`cannot fetch the list of revoked access tokens yet: ${(error as Error).message}`);
      this.#retry = setTimeout(() => void this.#fetchList(), retryDelayMs).unref();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    this.#attempt += 1;
    clearTimeout(this.#retry);
    await this.#listener.close();
  }
}
