import { createHash, createHmac } from 'node:crypto';
import type { ServiceKey } from '@jogakbo/messaging';
import { encrypt, decrypt } from './encryption.ts';

/** An encrypted value as it is stored: key id and ciphertext. */
export interface Encrypted {
  encrypted: string;
}

/**
 * Recognizes an encrypted value by its format, because values stored before the introduction of encryption are plain: an
 * object with the single field `encrypted`, whose text begins with a key id and a dot. Plain data must not have this format.
 */
export const isEncrypted = (value: unknown): value is Encrypted =>
  typeof value === 'object' &&
  value !== null &&
  Object.keys(value).length === 1 &&
  /^[\w-]{8}\./.test(String((value as Encrypted).encrypted));

/** The id does not reveal the key, because keys are random. */
const toId = (key: Buffer): string => createHash('sha256').update(key).digest('base64url').slice(0, 8);

/**
 * Encrypts data that a service stores for itself (AES-256-GCM). Its keys are derived from the service key and are not in
 * the database. Earlier keys still decrypt after a rotation.
 */
export class StorageEncryption {
  /** Private, so that logs and JSON cannot contain them. The current key is first. */
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #fingerprintKeys: Buffer[];

  constructor(serviceKey: ServiceKey) {
    this.#keys = new Map(serviceKey.derive('storage').map((key) => [toId(key), key]));
    this.#fingerprintKeys = serviceKey.derive('fingerprints');
  }

  /** @param associatedData the name of the value, authenticated with it: no value can replace another */
  encrypt(value: unknown, associatedData: string): Encrypted {
    const [[id, key]] = this.#keys as unknown as [[string, Buffer]];
    return { encrypted: `${id}.${encrypt(key, JSON.stringify(value ?? null), associatedData)}` };
  }

  /** Like `encrypt`, with a text as result. */
  encryptText(text: string, associatedData: string): string {
    return this.encrypt(text, associatedData).encrypted;
  }

  /**
   * Decrypts a value. A value stored before the introduction of encryption is returned unchanged.
   * @throws Error for an unknown key, other associated data or a changed value
   */
  decrypt(stored: unknown, associatedData: string): unknown {
    if (!isEncrypted(stored)) return stored;
    const [id, text] = stored.encrypted.split('.', 2) as [string, string];
    const key = this.#keys.get(id);
    if (!key)
      throw new Error(
        `SERVICE_KEY has no key that decrypts ${associatedData}: append the previous key to it`,
      );
    return JSON.parse(decrypt(key, text, associatedData)) as unknown;
  }

  /** True unless the value was encrypted with the current key. */
  isOutdated(stored: unknown): boolean {
    return !isEncrypted(stored) || this.#keys.keys().next().value !== stored.encrypted.split('.', 1)[0];
  }

  /**
   * Computes keyed fingerprints (HMAC-SHA-256), so that readers of the database cannot try out guesses.
   * @returns the fingerprint with the current key first, then those with earlier keys
   */
  fingerprints(text: string): [current: string, ...earlier: string[]] {
    return this.#fingerprintKeys.map((key) => createHmac('sha256', key).update(text).digest('base64url')) as [
      string,
    ];
  }
}
