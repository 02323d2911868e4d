import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Caller } from '@jogakbo/messaging';
import { PlatformSettings } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

/** Path of the public keys that verify assertions. */
export const assertionKeysPath = '/.well-known/gateway-jwks.json';
/** Explicit type, so that no verifier accepts an assertion as an access token (RFC 8725, 3.11). */
const type = 'member-assertion+jwt';
const algorithm = 'EdDSA';
/** Lifetime in seconds: the maximum time of a request plus clock skew. */
const lifetimeSeconds = 60;

/** The PKCS #8 prefix of an Ed25519 private key (RFC 8410); the 32-byte key follows. */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');

interface SigningKey {
  key: KeyObject;
  jwk: JsonWebKey & { kid: string };
}

/**
 * Signs JWTs with which external services can verify the identity of the member, for one service and one route. All
 * gateways of a store have the same keys, derived from their service key.
 */
@Injectable()
export class MemberAssertions {
  /** The current key first; previous keys still verify. */
  readonly #keys: readonly [SigningKey, ...SigningKey[]];

  constructor(
    { serviceKey }: PlatformSettings,
    private readonly settings: GatewaySettings,
  ) {
    this.#keys = serviceKey!.derive('member assertions').map(toSigningKey) as [SigningKey, ...SigningKey[]];
  }

  /** The JSON Web Key Set (RFC 7517) that verifies assertions. */
  get keySet(): { keys: JsonWebKey[] } {
    return { keys: this.#keys.map(({ jwk }) => jwk) };
  }

  /** Signs an assertion about the member for one service and route. */
  sign({ service, http }: Route, { memberId, roles, authTime }: Caller): Promise<string> {
    const [{ key, jwk }] = this.#keys;
    const route = `${http.method} ${http.path}`;
    return new SignJWT({ roles, route, ...(authTime !== undefined && { auth_time: authTime }) })
      .setProtectedHeader({ alg: algorithm, typ: type, kid: jwk.kid })
      .setIssuer(this.settings.tokenIssuer)
      .setAudience(service)
      .setSubject(memberId)
      .setIssuedAt()
      .setExpirationTime(`${lifetimeSeconds}s`)
      .sign(key);
  }
}

function toSigningKey(seed: Buffer): SigningKey {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const { kty, crv, x } = createPublicKey(key).export({ format: 'jwk' });
  // JWK thumbprint (RFC 7638, RFC 8037).
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
  return { key, jwk: { kty, crv, x, kid, use: 'sig', alg: algorithm } as SigningKey['jwk'] };
}
