import { CompactSign, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';

export interface Signer {
  kid: string;
  publicKey: Record<string, unknown>;
  sign(claims?: JWTPayload, header?: { alg?: string; kid?: string }): Promise<string>;
  /** @param payload signed unchanged, so it may be JSON that no serializer writes */
  signText(payload: string): Promise<string>;
}

export const issuer = 'http://store.test';

/** Creates a key pair that signs tokens. They are valid unless `claims` overrides the defaults. */
export async function createSigner(kid: string, alg: 'ES256' | 'EdDSA' = 'ES256'): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  const signText = (payload: string) =>
    new CompactSign(Buffer.from(payload)).setProtectedHeader({ alg, kid }).sign(privateKey as CryptoKey);
  return { kid, publicKey: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }, sign, signText };

  function sign(claims: JWTPayload = {}, header: { alg?: string; kid?: string } = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const all = {
      iss: issuer,
      aud: 'jogakbo',
      sub: 'm-1',
      sid: 's-1',
      roles: ['member'],
      iat: now,
      exp: now + 60,
    };
    return new SignJWT({ ...all, ...claims })
      .setProtectedHeader({ alg, kid, ...header })
      .sign(privateKey as CryptoKey);
  }
}

const encodePart = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Creates a token with `alg: none` and an empty signature. */
export function createUnsignedToken(claims: JWTPayload): string {
  const now = Math.floor(Date.now() / 1_000);
  return `${encodePart({ alg: 'none', typ: 'JWT' })}.${encodePart({ iss: issuer, aud: 'jogakbo', sub: 'm-1', exp: now + 60, ...claims })}.`;
}
