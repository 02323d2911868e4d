import { ListRevocations, TokensRevoked, type Revocation } from '@jogakbo/contracts-identity';
import { Ask, BrokerConnection, Listener, RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';

/** What of an access token decides whether it is revoked. */
export interface VerifiedToken {
  caller: Caller;
  /** Claim `gen`: which generation of the member's tokens it belongs to. */
  generation: number;
  /** When it expires, in milliseconds. */
  expiresAt: number;
}

/** Beyond this many the oldest are replaced by one rule for all tokens. About 5 MB. */
const keptAtMost = 20_000;
/** Milliseconds in which the list must come: it can be long. */
const timeout = 15_000;
/** Milliseconds between two attempts to learn what is revoked. */
const retryDelay = 500;

/**
 * Which access tokens are refused before they expire: a list that every gateway keeps for itself. Revocations are heard
 * as events; after a start and after every loss of the broker the whole list is asked for, since events may have been missed.
 *
 * Fails closed: until the list is known, requests with a token are answered 503. While the broker is out of reach, so are
 * those of routes that are not public; public ones go on with the list of before, which nothing can add to meanwhile.
 */
@Injectable()
export class Revocations implements OnModuleInit, OnApplicationShutdown {
  readonly #log = new Logger('revocations');
  readonly #listener: Listener;
  /** In the order of `until`. */
  readonly #revoked = new Map<string, { until: number; generation: number }>();
  /** Every token that expires by then is refused, in milliseconds. */
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
        void this.#learn();
      },
    );
  }

  async onModuleInit(): Promise<void> {
    await this.#listener.open(TokensRevoked.name);
  }

  /** True where no revocation can have been missed. */
  get isCurrent(): boolean {
    return this.#isCurrent && this.#listener.isOpen;
  }

  /** @throws RemoteFault `unavailable` where it is not known whether a token is revoked */
  mustKnow(isPublic: boolean): void {
    if (this.isCurrent || (isPublic && this.#isKnown)) return;
    throw new RemoteFault('unavailable', 'it is not known which access tokens are revoked');
  }

  isRevoked({ caller, generation, expiresAt }: VerifiedToken): boolean {
    if (expiresAt <= this.#revokedUntil) return true;
    if (caller.sessionId !== undefined && this.#revoked.has(`session ${caller.sessionId}`)) return true;
    const ofMember = this.#revoked.get(`member ${caller.memberId}`);
    return ofMember !== undefined && generation < ofMember.generation;
  }

  /** Adds to the list, and drops what has expired. Beyond the limit, all tokens as old as those dropped are refused. */
  add({ memberId, sessionId, generation = 0, until }: Revocation): void {
    const key = sessionId === undefined ? `member ${memberId}` : `session ${sessionId}`;
    const known = this.#revoked.get(key);
    // Moves to the end: the map stays in the order of `until`.
    this.#revoked.delete(key);
    this.#revoked.set(key, {
      until: Math.max(Date.parse(until), known?.until ?? 0),
      generation: Math.max(generation, known?.generation ?? 0),
    });
    const now = Date.now();
    for (const [oldest, { until }] of this.#revoked) {
      if (until > now) {
        if (this.#revoked.size <= keptAtMost) break;
        this.#revokedUntil = Math.max(this.#revokedUntil, until);
      }
      this.#revoked.delete(oldest);
    }
  }

  /** Asks until it is answered. Answers to questions from before the newest loss of the broker do not count. */
  async #learn(): Promise<void> {
    clearTimeout(this.#retry);
    const attempt = ++this.#attempt;
    try {
      const { revocations, revokedUntil } = await this.ask(ListRevocations, {}, { timeout });
      for (const one of revocations.toReversed()) this.add(one);
      if (revokedUntil) this.#revokedUntil = Math.max(this.#revokedUntil, Date.parse(revokedUntil));
      if (attempt === this.#attempt) this.#isKnown = this.#isCurrent = true;
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#log.debug(`the revoked access tokens are not known yet: ${(error as Error).message}`);
      this.#retry = setTimeout(() => void this.#learn(), retryDelay).unref();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    this.#attempt += 1;
    clearTimeout(this.#retry);
    await this.#listener.close();
  }
}
