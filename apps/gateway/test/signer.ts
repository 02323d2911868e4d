import { CompactSign, exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';

export interface Signer {
  kid: string;
  publicKey: Record<string, unknown>;
  sign(claims?: JWTPayload, header?: { alg?: string; kid?: string }): Promise<string>;
  /** @param payload as it is: JSON that no serializer would write */
  signText(payload: string): Promise<string>;
}

export const issuer = 'http://store.test';

/** A key pair, and tokens signed with it: valid ones unless the claims say otherwise. */
export async function signer(kid: string, alg: 'ES256' | 'EdDSA' = 'ES256'): Promise<Signer> {
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

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** What a forger hopes that nobody looks at. */
export function unsigned(claims: JWTPayload): string {
  const now = Math.floor(Date.now() / 1_000);
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ iss: issuer, aud: 'jogakbo', sub: 'm-1', exp: now + 60, ...claims })}.`;
}
