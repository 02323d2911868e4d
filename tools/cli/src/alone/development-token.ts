import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { readKept, type StateFolder, writeJson } from '../supervisor/state.ts';

/** The member of development tokens. */
export const developmentMemberId = '00000000-0000-7000-8000-000000000001';
const lifetimeSeconds = 86_400;
const kid = 'development';

type Jwk = Record<string, string>;

const getFile = (state: StateFolder): string => join(state.folder, 'development-key.json');

/** The private key of development tokens: created once, so that a token stays valid when the service is served again. */
function ensureKey(state: StateFolder): Jwk {
  const kept = readKept<Jwk>(getFile(state));
  if (kept) return kept;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = privateKey.export({ format: 'jwk' }) as Jwk;
  writeJson(getFile(state), jwk);
  return jwk;
}

/** The public key that verifies development tokens, as a JWK. */
export function getDevelopmentKey(state: StateFolder): Jwk {
  const { d: _private, ...key } = ensureKey(state);
  return { ...key, kid, use: 'sig', alg: 'ES256' };
}

/**
 * Signs an access token for a service that runs alone. Only the gateway beside that service accepts it, for a day.
 * @param issuer that gateway's TOKEN_ISSUER
 */
export function signDevelopmentToken(
  state: StateFolder,
  issuer: string,
  roles: readonly string[],
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ sid: developmentMemberId, roles, gen: 0, auth_time: now })
    .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience('jogakbo')
    .setSubject(developmentMemberId)
    .setIssuedAt(now)
    .setExpirationTime(now + lifetimeSeconds)
    .sign(createPrivateKey({ key: ensureKey(state), format: 'jwk' }));
}
