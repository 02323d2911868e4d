import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Caller } from '@jogakbo/messaging';
import { PlatformSettings } from '@jogakbo/service';
import { Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import type { Route } from './routes.ts';
import { GatewaySettings } from './settings.ts';

/** Where services find the keys that verify assertions. */
export const assertionKeysPath = '/.well-known/gateway-jwks.json';
/** Not an access token: nothing that accepts those takes it for one (RFC 8725, 3.11). */
const type = 'member-assertion+jwt';
const algorithm = 'EdDSA';
/** Seconds: as long as a request takes, and a clock that is a little behind. */
const goodFor = 60;

/** The beginning of an Ed25519 private key in PKCS #8 (RFC 8410): its 32 bytes follow. */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex');

interface SigningKey {
  key: KeyObject;
  jwk: JsonWebKey & { kid: string };
}

/**
 * Tells a service that is asked over HTTP who the member is, so that it can verify it: a JWT that the gateway signed for
 * this service and this route. All gateways of a store have the same keys, for they are derived from their service key.
 */
@Injectable()
export class MemberAssertions {
  /** The current one first; earlier ones still verify. */
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

  /** An assertion about the member for one service and one of its routes. */
  sign({ service, http }: Route, { memberId, roles, authTime }: Caller): Promise<string> {
    const [{ key, jwk }] = this.#keys;
    const route = `${http.method} ${http.path}`;
    return new SignJWT({ roles, route, ...(authTime !== undefined && { auth_time: authTime }) })
      .setProtectedHeader({ alg: algorithm, typ: type, kid: jwk.kid })
      .setIssuer(this.settings.tokenIssuer)
      .setAudience(service)
      .setSubject(memberId)
      .setIssuedAt()
      .setExpirationTime(`${goodFor}s`)
      .sign(key);
  }
}

function toSigningKey(seed: Buffer): SigningKey {
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' });
  const { kty, crv, x } = createPublicKey(key).export({ format: 'jwk' });
  // The thumbprint of the key (RFC 7638, RFC 8037).
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');
  return { key, jwk: { kty, crv, x, kid, use: 'sig', alg: algorithm } as SigningKey['jwk'] };
}
