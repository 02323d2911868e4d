import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import type { EncryptionKey } from '@jogakbo/contract';
import { decryptBytes, encryptText, ivLength, tagLength } from './aes-gcm.ts';
import type { ServiceKey } from './service-key.ts';

const algorithm = 'ECDH-ES';
const contentEncryption = 'A256GCM';
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The media type of `Jwe` (RFC 7515, section 9.2.1). */
export const jose = 'application/jose';

/** Encrypted data: a JWE in compact serialization (RFC 7516). */
export class Jwe {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toJSON(): string {
    return this.text;
  }
}

/** None of this instance's keys decrypts the data; an instance with another SERVICE_KEY may have the key. */
export class UnknownKey extends Error {
  override readonly name = 'UnknownKey';
}

/** The data was modified, or encrypted for another contract. A retry cannot succeed. */
export class DecryptionFailed extends Error {
  override readonly name = 'DecryptionFailed';
}

interface Header {
  alg?: unknown;
  enc?: unknown;
  crit?: unknown;
  zip?: unknown;
  kid?: unknown;
  cty?: unknown;
  sub?: unknown;
  apu?: unknown;
  apv?: unknown;
  epk?: { kty: string; crv: string; x: string };
}

/**
 * Encrypts a value as JSON for the holder of a key: ECDH-ES on X25519 (RFC 8037) and A256GCM (RFC 7518). Implemented here
 * because the JOSE library costs every process that uses it 7 MB; the tests compare with that library.
 * @param about the contract, in the header parameter `sub`: the ciphertext cannot be used for another contract
 */
export async function encryptFor(
  key: Pick<EncryptionKey, 'kty' | 'crv' | 'x' | 'kid'>,
  value: unknown,
  about: string,
): Promise<Jwe> {
  const { kty, crv, x, kid } = key;
  const ephemeral = generateKeyPairSync('x25519');
  const epk = { kty, crv, x: ephemeral.publicKey.export({ format: 'jwk' }).x! };
  const header: Header = {
    alg: algorithm,
    enc: contentEncryption,
    kid,
    cty: 'json',
    sub: about,
    epk,
  };
  const encoded = Buffer.from(JSON.stringify(header)).toString('base64url');
  const publicKey = createPublicKey({ key: { kty, crv, x }, format: 'jwk' });
  const secret = diffieHellman({ privateKey: ephemeral.privateKey, publicKey });
  const contentKey = toContentKey(secret, header);
  const { iv, tag, content } = encryptText(contentKey, JSON.stringify(value ?? null), encoded);
  const parts = [iv, content, tag].map((part) => part.toString('base64url'));
  // The second part, the encrypted key, is empty: direct key agreement (RFC 7516).
  return new Jwe([encoded, '', ...parts].join('.'));
}

/** The Concat KDF for one round of SHA-256 (RFC 7518, section 4.6.2). */
function toContentKey(secret: Buffer, { apu, apv }: Header): Buffer {
  const withLength = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const party = (info: unknown) => withLength(Buffer.from(typeof info === 'string' ? info : '', 'base64url'));
  const hash = createHash('sha256')
    .update(Buffer.from([0, 0, 0, 1]))
    .update(secret);
  hash
    .update(withLength(Buffer.from(contentEncryption)))
    .update(party(apu))
    .update(party(apv));
  return hash.update(Buffer.from([0, 0, 1, 0])).digest();
}

/** @throws Error if the text is not such a JWE, or was not encrypted for the key */
function decryptText(text: string, getKey: (kid: string) => KeyObject): { content: string; header: Header } {
  const parts = text.split('.');
  const [encoded, encryptedKey, iv, content, tag] = parts.map((part) => Buffer.from(part, 'base64url'));
  if ([encoded, encryptedKey, iv, content, tag].some((bytes, i) => bytes?.toString('base64url') !== parts[i]))
    throw new Error('not canonical base64url');
  if (parts.length !== 5 || encryptedKey!.length > 0) throw new Error('no compact JWE with a direct key');
  const header = JSON.parse(utf8.decode(encoded)) as Header;
  const { alg, enc, crit, zip, kid, epk } = header;
  if (alg !== algorithm || enc !== contentEncryption || crit !== undefined || zip !== undefined)
    throw new Error('unsupported algorithm or header parameter');
  if (iv!.length !== ivLength || tag!.length !== tagLength) throw new Error('IV or tag has the wrong length');
  const { x } = epk!;
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
  const secret = diffieHellman({ privateKey: getKey(String(kid)), publicKey });
  const key = toContentKey(secret, header);
  const decrypted = decryptBytes(key, { iv: iv!, tag: tag!, content: content! }, parts[0]!);
  return { content: utf8.decode(decrypted), header };
}

/** DER of a PKCS #8 private key for X25519 (RFC 8410), without the 32 key bytes at its end. */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');

function toKeyPair(secret: Buffer): { privateKey: KeyObject; publicKey: EncryptionKey } {
  const der = Buffer.concat([pkcs8, secret]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const required = { crv: 'X25519' as const, kty: 'OKP' as const, x: x! };
  // RFC 7638: the required members in lexicographic order, without white space.
  const kid = createHash('sha256').update(JSON.stringify(required)).digest('base64url');
  return { privateKey, publicKey: { ...required, kid } };
}

/** Decrypts data that was encrypted for a service, or for one client that waits for answers. */
export class DecryptionKeys {
  /** Private, so that neither a log nor JSON can contain them. */
  readonly #keys: ReadonlyMap<string, KeyObject>;
  /** Keys that senders encrypt with: the current key first, then those of earlier rotations. */
  readonly publicKeys: readonly [EncryptionKey, ...EncryptionKey[]];

  /** Deterministic: all instances with the same service key have the same keys. */
  constructor(serviceKey: ServiceKey) {
    const pairs = serviceKey.derive('decryption of messages').map(toKeyPair);
    this.#keys = new Map(pairs.map(({ privateKey, publicKey }) => [publicKey.kid, privateKey]));
    this.publicKeys = pairs.map(({ publicKey }) => publicKey) as [EncryptionKey];
  }

  /**
   * Decrypts a value that `encryptFor`, or any other JOSE library, encrypted for one of these keys.
   * @param about the contract that it must have been encrypted for
   * @throws UnknownKey @throws DecryptionFailed
   */
  async decrypt({ text }: Jwe, about: string): Promise<unknown> {
    try {
      const { content, header } = decryptText(text, (kid) => {
        const key = this.#keys.get(kid);
        if (!key) throw new UnknownKey(`${about} was encrypted for a key that this instance lacks`);
        return key;
      });
      if (header.sub !== about) throw new Error('it was encrypted for another contract');
      return JSON.parse(content) as unknown;
    } catch (error) {
      if (error instanceof UnknownKey) throw error;
      // Without the cause: the message of a JSON error quotes the text.
      throw new DecryptionFailed(`${about}: the data cannot be decrypted`);
    }
  }
}
