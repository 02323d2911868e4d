import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import type { EncryptionKey } from '@jogakbo/contract';
import type { ServiceKey } from './service-key.ts';

const algorithm = 'ECDH-ES';
const contentEncryption = 'A256GCM';

/** Loaded with the first use, for its memory: most services have no sensitive contract. */
const importLibrary = async () => ({
  ...(await import('jose/jwe/compact/decrypt')),
  ...(await import('jose/jwe/compact/encrypt')),
});
let library: ReturnType<typeof importLibrary> | undefined;
const loadLibrary = () => (library ??= importLibrary());

/** The media type of `Jwe` (RFC 7515, section 9.2.1). */
export const jose = 'application/jose';

/** Encrypted data: a JWE in compact serialization (RFC 7516). */
export class Jwe {
  constructor(readonly text: string) {}

  toJSON(): string {
    return this.text;
  }
}

/** None of this instance's keys decrypts it; an instance with another SERVICE_KEY may. */
export class UnknownKey extends Error {
  override readonly name = 'UnknownKey';
}

/** It was changed, or it was encrypted as something else. No attempt will succeed. */
export class DecryptionFailed extends Error {
  override readonly name = 'DecryptionFailed';
}

/**
 * Encrypts a value as JSON for the holder of a key.
 * @param about what it is: it can be decrypted only as that, so that no ciphertext can be put in the place of another
 */
export async function encryptFor(
  key: Pick<EncryptionKey, 'kty' | 'crv' | 'x' | 'kid'>,
  value: unknown,
  about: string,
): Promise<Jwe> {
  const { CompactEncrypt } = await loadLibrary();
  const { kid } = key;
  const header = { alg: algorithm, enc: contentEncryption, kid, cty: 'json', sub: about };
  const content = new TextEncoder().encode(JSON.stringify(value ?? null));
  return new Jwe(await new CompactEncrypt(content).setProtectedHeader(header).encrypt(key));
}

/** DER of a PKCS #8 private key for X25519 (RFC 8410), up to its 32 bytes. */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

interface PrivateKey extends EncryptionKey {
  d: string;
}

function toPrivateKey(secret: Buffer): PrivateKey {
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8, secret]),
    format: 'der',
    type: 'pkcs8',
  });
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const required = { crv: 'X25519' as const, kty: 'OKP' as const, x: x! };
  // RFC 7638: the required members in lexicographic order, without white space.
  const kid = createHash('sha256').update(JSON.stringify(required)).digest('base64url');
  return { ...required, kid, d: secret.toString('base64url') };
}

/** Decrypts what was encrypted for a service, or for one client that waits for answers. */
export class DecryptionKeys {
  /** Private, so that neither a log nor JSON can contain them. */
  readonly #keys: ReadonlyMap<string, PrivateKey>;
  /** What others encrypt with: the current key first, then those of earlier rotations. */
  readonly publicKeys: readonly [EncryptionKey, ...EncryptionKey[]];

  /** All instances that have the same service key have the same keys. */
  constructor(serviceKey: ServiceKey) {
    const keys = serviceKey.derive('decryption of messages').map(toPrivateKey);
    this.#keys = new Map(keys.map((key) => [key.kid, key]));
    this.publicKeys = keys.map(({ kty, crv, x, kid }) => ({ kty, crv, x, kid })) as [EncryptionKey];
  }

  /**
   * Decrypts a value that `encryptFor`, or any other JOSE library, encrypted for one of these keys.
   * @param about what it must have been encrypted as
   * @throws UnknownKey @throws DecryptionFailed
   */
  async decrypt({ text }: Jwe, about: string): Promise<unknown> {
    const { compactDecrypt } = await loadLibrary();
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(
        text,
        ({ kid }) => {
          const key = this.#keys.get(String(kid));
          if (!key) throw new UnknownKey(`no key here decrypts ${about}: it was encrypted for another one`);
          return key;
        },
        { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: [contentEncryption] },
      );
      if (protectedHeader['sub'] !== about) throw new Error('it was encrypted as something else');
      return JSON.parse(new TextDecoder().decode(plaintext)) as unknown;
    } catch (error) {
      if (error instanceof UnknownKey) throw error;
      // Without the cause: a message about JSON quotes a part of it.
      throw new DecryptionFailed(`${about}: the data cannot be decrypted`);
    }
  }
}
