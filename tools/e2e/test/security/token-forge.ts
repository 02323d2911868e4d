import { StorageEncryption } from '@jogakbo/consistency/storage-encryption';
import { ServiceKey } from '@jogakbo/messaging/service-key';
import { decodeJwt, importJWK, SignJWT, type JWK, type JWTPayload } from 'jose';
import pg from 'pg';
import { ensureSecrets, openState } from '@jogakbo/cli/src/supervisor/state.ts';
import { getDatabaseUrl } from '@jogakbo/cli/src/supervisor/store-access.ts';
import { type Store } from '../../src/store.ts';

/** Signs tokens with the store's own key, so that a token can have exactly one defect. */
export class TokenForge {
  private constructor(
    readonly kid: string,
    readonly privateJwk: JWK,
    private readonly issuer: string,
  ) {}

  static async open(store: Store): Promise<TokenForge> {
    const state = openState(store.home);
    const identity = new pg.Client({ connectionString: getDatabaseUrl(state, 'identity') });
    await identity.connect();
    const { rows } = await identity.query(
      'SELECT kid, private_jwk FROM signing_key WHERE active_at <= now() ORDER BY active_at DESC LIMIT 1',
    );
    await identity.end();
    const { issuer } = (await store.call('GET', '/.well-known/openid-configuration')).body;
    const { kid, private_jwk: stored } = rows[0] as { kid: string; private_jwk: unknown };
    const serviceKey = ServiceKey.parse(ensureSecrets(state).serviceKeys['identity']!);
    const privateJwk = new StorageEncryption(serviceKey).decrypt(stored, `signing key ${kid}`) as JWK;
    return new TokenForge(kid, privateJwk, issuer);
  }

  decodeClaims(token: string): JWTPayload {
    return decodeJwt(token);
  }

  /** Signs a valid token with these changes. An undefined claim is omitted. */
  async sign(
    claims: JWTPayload,
    header: Record<string, unknown> = {},
    key: JWK = this.privateJwk,
  ): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const validClaims = { iss: this.issuer, aud: 'jogakbo', iat: now, exp: now + 600, auth_time: now };
    return new SignJWT({ ...validClaims, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: this.kid, ...header })
      .sign(await importJWK(key, 'ES256'), { crit: { x: true } });
  }
}
