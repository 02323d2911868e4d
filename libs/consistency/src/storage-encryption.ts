import { createHash, createHmac } from 'node:crypto';
import type { ServiceKey } from '@jogakbo/messaging';
import { encrypt, decrypt } from './encryption.ts';

/** A value as it is stored: the id of the key, and what it was encrypted to. */
export interface Encrypted {
  encrypted: string;
}

/** Whether a stored value is encrypted. */
export const isEncrypted = (value: unknown): value is Encrypted =>
  typeof value === 'object' && value !== null && typeof (value as Encrypted).encrypted === 'string';

/** The id says nothing about the key: the keys are random, so none can be guessed from it. */
const toId = (key: Buffer): string => createHash('sha256').update(key).digest('base64url').slice(0, 8);

/**
 * Encrypts what a service keeps for itself (AES-256-GCM) with keys that are derived from its service key and are not in
 * the database. After a rotation the earlier keys still decrypt.
 */
export class StorageEncryption {
  /** Private, so that neither a log nor JSON can contain them. The current one comes first. */
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #fingerprintKeys: Buffer[];

  constructor(serviceKey: ServiceKey) {
    this.#keys = new Map(serviceKey.derive('storage').map((key) => [toId(key), key]));
    this.#fingerprintKeys = serviceKey.derive('fingerprints');
  }

  /** @param about what it is: it can be decrypted only as that, so that no value can be put in the place of another */
  encrypt(value: unknown, about: string): Encrypted {
    const [[id, key]] = this.#keys as unknown as [[string, Buffer]];
    return { encrypted: `${id}.${encrypt(key, JSON.stringify(value ?? null), about)}` };
  }

  /** Like `encrypt`, for a text in place of a text. */
  encryptText(text: string, about: string): string {
    return this.encrypt(text, about).encrypted;
  }

  /**
   * The value that was encrypted; what was stored before there was encryption comes back as it is.
   * @throws Error where no key fits, it was encrypted as something else, or it was changed
   */
  decrypt(stored: unknown, about: string): unknown {
    if (!isEncrypted(stored)) return stored;
    const [id, text] = stored.encrypted.split('.', 2) as [string, string];
    const key = this.#keys.get(id);
    if (!key) throw new Error(`SERVICE_KEY has no key that decrypts ${about}: add the key of before to it`);
    return JSON.parse(decrypt(key, text, about)) as unknown;
  }

  /** True where it was not encrypted with the current key. */
  isOutdated(stored: unknown): boolean {
    return !isEncrypted(stored) || this.#keys.keys().next().value !== stored.encrypted.split('.', 1)[0];
  }

  /**
   * Recognizes a text without keeping it, and without letting the database's readers try out guesses (HMAC-SHA-256).
   * @returns the fingerprint under the current key first, then those under earlier keys
   */
  fingerprints(text: string): [current: string, ...earlier: string[]] {
    return this.#fingerprintKeys.map((key) => createHmac('sha256', key).update(text).digest('base64url')) as [
      string,
    ];
  }
}
