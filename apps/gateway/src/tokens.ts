import { platformRejection, undeterminedLanguage } from '@jogakbo/contract';
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
import { LRUCache } from 'lru-cache';
import { KnownServices } from './known-services.ts';
import type { VerifiedToken } from './revocations.ts';
import { GatewaySettings } from './settings.ts';

/** Accepts both names of EdDSA (RFC 8037, RFC 9864), no symmetric algorithms, and never `none`. */
const algorithms = ['ES256', 'EdDSA', 'Ed25519'];
/** Minimum milliseconds between key requests, so that tokens with unknown keys cannot flood the service. */
const fetchCooldownMs = 5_000;
/** Age of the keys, in milliseconds, from which they are refreshed in the background. */
const refreshAfterMs = 300_000;
/** Maximum number of cached tokens. */
const maxCachedTokens = 5_000;

/**
 * Verifies access tokens with the keys of the service `identityService`. With cached keys, verification also works while
 * that service is unreachable.
 */
@Injectable()
export class Tokens {
  readonly #verified = new LRUCache<string, VerifiedToken>({ max: maxCachedTokens });
  #keys: { text: string; find: JWTVerifyGetKey } | undefined;
  #triedAt = -Infinity;
  #fetching: Promise<boolean> | undefined;

  constructor(
    private readonly services: KnownServices,
    private readonly client: RabbitClient,
    private readonly settings: GatewaySettings,
  ) {}

  /**
   * Verifies the access token of a request. `Revocations` checks whether it is revoked.
   * @param authorizations all Authorization headers
   * @throws Rejection `unauthenticated` unless there is exactly one valid token
   * @throws RemoteFault `unavailable` if the keys are not available yet
   */
  async verify(authorizations: readonly string[]): Promise<VerifiedToken> {
    const [authorization = '', ...more] = authorizations;
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization.trim())?.[1];
    if (more.length > 0 || !token?.split('.').every(isCanonical)) throw createTokenRejection();
    const known = this.#verified.get(token);
    if (known && known.expiresAt > Date.now()) {
      this.#refreshWhenStale();
      return known;
    }
    this.#verified.delete(token);
    const verified = await this.#verify(token);
    this.#verified.set(token, verified);
    return verified;
  }

  /** The reason why tokens cannot be verified, or undefined. */
  async findProblem(): Promise<string | undefined> {
    if (this.#keys) return undefined;
    return (await this.#fetch().catch(() => false)) ? undefined : 'no keys to verify access tokens';
  }

  async #verify(token: string): Promise<VerifiedToken> {
    if (!this.#keys) await this.#fetch();
    if (!this.#keys) throw new RemoteFault('unavailable', 'no keys to verify access tokens');
    this.#refreshWhenStale();
    try {
      return await this.#check(token, this.#keys.find);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw createTokenRejection();
      // The key may be newer than the cached keys.
      const renewed = await this.#fetch().catch(() => false);
      if (!renewed) throw createTokenRejection();
      return await this.#check(token, this.#keys.find).catch(() => {
        throw createTokenRejection();
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
    if (performance.now() - this.#triedAt > refreshAfterMs) this.#fetch().catch(() => {});
  }

  /** Concurrent calls share one request. @returns whether keys were fetched; false during the cooldown */
  #fetch(): Promise<boolean> {
    return (this.#fetching ??= this.#fetchKeys().finally(() => (this.#fetching = undefined)));
  }

  async #fetchKeys(): Promise<boolean> {
    const match = this.services.table.find('GET', '/.well-known/jwks.json');
    // Only over the bus: the keys of an external service could sign tokens for any member.
    if (match.found !== 'route' || !this.services.serves(match.route)) return false;
    // Only from this service, because its keys can sign tokens for any member.
    if (match.route.service !== this.settings.identityService) return false;
    if (this.#keys && performance.now() - this.#triedAt < fetchCooldownMs) return false;
    this.#triedAt = performance.now();
    const keys = (await this.client.request(
      match.route.contract.name,
      {},
      {
        timeout: this.settings.requestTimeout,
        policy: match.route.policy,
        context: { traceparent: childTraceparent(), language: undeterminedLanguage },
      },
    )) as JSONWebKeySet;
    const text = JSON.stringify(keys);
    if (text !== this.#keys?.text) {
      this.#keys = { text, find: createLocalJWKSet(keys) };
      // Drops tokens that were signed with a withdrawn key.
      this.#verified.clear();
    }
    return true;
  }
}

/** @throws Rejection if the claims are not those of an access token */
function readClaims({ sub, sid, roles, gen, auth_time: authTime, exp, nbf, iat }: JWTPayload): VerifiedToken {
  const times = [exp, nbf ?? 0, iat ?? 0, authTime ?? 0, gen ?? 0];
  if (typeof sub !== 'string' || sub === '' || !times.every(Number.isSafeInteger))
    throw createTokenRejection();
  const caller: Caller = {
    memberId: sub,
    roles: Array.isArray(roles) ? roles.filter((role): role is string => typeof role === 'string') : [],
    ...(typeof sid === 'string' && { sessionId: sid }),
    ...(typeof authTime === 'number' && { authTime }),
  };
  return { caller, generation: (gen as number | undefined) ?? 0, expiresAt: exp! * 1_000 };
}

/** Whether the text is the canonical base64url encoding of its bytes (RFC 4648 §3.5). */
const isCanonical = (text: string): boolean => Buffer.from(text, 'base64url').toString('base64url') === text;

export const createTokenRejection = () =>
  platformRejection(
    'unauthenticated',
    'the access token is missing, malformed, expired, revoked or from another issuer',
  );
