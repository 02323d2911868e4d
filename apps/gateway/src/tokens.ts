import { platformRejection } from '@jogakbo/contract';
import { childTraceparent, RabbitClient, RemoteFault, type Caller } from '@jogakbo/messaging';
import { Injectable } from '@nestjs/common';
import {
  createLocalJWKSet,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { KnownServices } from './known-services.ts';
import type { VerifiedToken } from './revocations.ts';
import { GatewaySettings } from './settings.ts';

/** Both names of EdDSA (RFC 8037, RFC 9864). Nothing symmetric, and never `none`. */
const algorithms = ['ES256', 'EdDSA', 'Ed25519'];
/** Not sooner than this after the last attempt are keys asked for again, however many unknown ones are shown. */
const coolDown = 5_000;
/** Keys older than this are asked for again while the old ones still serve. */
const staleAfter = 300_000;
/** Tokens remembered as verified; the one that was not used for longest goes first. */
const remembered = 5_000;

/**
 * Finds the member on whose behalf a request comes. Keys come from the service that `identityService` names. Once they
 * are known, tokens are verified while that service is away.
 */
@Injectable()
export class Tokens {
  readonly #verified = new Map<string, VerifiedToken>();
  #keys: { text: string; find: JWTVerifyGetKey } | undefined;
  #triedAt = -Infinity;
  #fetching: Promise<boolean> | undefined;

  constructor(
    private readonly services: KnownServices,
    private readonly client: RabbitClient,
    private readonly settings: GatewaySettings,
  ) {}

  /**
   * Verifies the token that a request carries; whether it was revoked is for `Revocations` to say.
   * @param authorizations every header of this name
   * @throws Rejection `unauthenticated` where they are anything else than one token that is valid now
   * @throws RemoteFault `unavailable` where nobody could be asked for the keys yet
   */
  async verify(authorizations: readonly string[]): Promise<VerifiedToken> {
    const [authorization = '', ...more] = authorizations;
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization.trim())?.[1];
    if (more.length > 0 || !token?.split('.').every(isCanonical)) throw refused();
    const known = this.#verified.get(token);
    if (known) {
      this.#verified.delete(token);
      if (known.expiresAt > Date.now()) {
        this.#verified.set(token, known);
        this.#refreshWhenStale();
        return known;
      }
    }
    const verified = await this.#verify(token);
    if (this.#verified.size >= remembered) this.#verified.delete(this.#verified.keys().next().value!);
    this.#verified.set(token, verified);
    return verified;
  }

  /** Why tokens cannot be verified, or undefined. */
  async whyNot(): Promise<string | undefined> {
    if (this.#keys) return undefined;
    return (await this.#fetch().catch(() => false)) ? undefined : 'nobody gives the keys that verify tokens';
  }

  async #verify(token: string): Promise<VerifiedToken> {
    if (!this.#keys) await this.#fetch();
    if (!this.#keys) throw new RemoteFault('unavailable', 'no keys to verify tokens with');
    this.#refreshWhenStale();
    try {
      return await this.#check(token, this.#keys.find);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw refused();
      // A key that was made after the keys were asked for.
      const renewed = await this.#fetch().catch(() => false);
      if (!renewed) throw refused();
      return await this.#check(token, this.#keys.find).catch(() => {
        throw refused();
      });
    }
  }

  async #check(token: string, find: JWTVerifyGetKey): Promise<VerifiedToken> {
    const { payload } = await jwtVerify(token, find, {
      algorithms,
      issuer: this.settings.tokenIssuer,
      audience: this.settings.tokenAudience,
      requiredClaims: ['sub', 'exp'],
    });
    return readClaims(payload);
  }

  #refreshWhenStale(): void {
    if (performance.now() - this.#triedAt > staleAfter) this.#fetch().catch(() => {});
  }

  /** True where keys came; false while it cools down. One question at a time, whoever asks. */
  #fetch(): Promise<boolean> {
    return (this.#fetching ??= this.#fetchKeys().finally(() => (this.#fetching = undefined)));
  }

  async #fetchKeys(): Promise<boolean> {
    const match = this.services.table.find('GET', '/.well-known/jwks.json');
    // Asked over the bus alone: keys from outside would let whoever runs there sign in as anybody.
    if (match.found !== 'route' || !this.services.serves(match.route)) return false;
    // The service that gives the keys can sign a token for any member, so only this one is asked.
    if (match.route.service !== this.settings.identityService) return false;
    if (this.#keys && performance.now() - this.#triedAt < coolDown) return false;
    this.#triedAt = performance.now();
    const keys = (await this.client.request(
      match.route.contract.name,
      {},
      {
        timeout: this.settings.requestTimeout,
        policy: match.route.policy,
        context: { traceparent: childTraceparent(), language: 'ko' },
      },
    )) as JSONWebKeySet;
    const text = JSON.stringify(keys);
    if (text !== this.#keys?.text) {
      this.#keys = { text, find: createLocalJWKSet(keys) };
      // What a withdrawn key had signed is not trusted any more.
      this.#verified.clear();
    }
    return true;
  }
}

/** @throws Rejection where the claims are not those of an access token */
function readClaims({ sub, sid, roles, gen, auth_time: authTime, exp, nbf, iat }: JWTPayload): VerifiedToken {
  const times = [exp, nbf ?? 0, iat ?? 0, authTime ?? 0, gen ?? 0];
  if (typeof sub !== 'string' || sub === '' || !times.every(Number.isSafeInteger)) throw refused();
  const caller: Caller = {
    memberId: sub,
    roles: Array.isArray(roles) ? roles.filter((role): role is string => typeof role === 'string') : [],
    ...(typeof sid === 'string' && { sessionId: sid }),
    ...(typeof authTime === 'number' && { authTime }),
  };
  return { caller, generation: (gen as number | undefined) ?? 0, expiresAt: exp! * 1_000 };
}

/** True where no other text of the base64url alphabet decodes to the same bytes (RFC 4648 §3.5). */
const isCanonical = (text: string): boolean => Buffer.from(text, 'base64url').toString('base64url') === text;

export const refused = () =>
  platformRejection(
    'unauthenticated',
    'the access token is missing, malformed, expired, revoked or not of this store',
  );
