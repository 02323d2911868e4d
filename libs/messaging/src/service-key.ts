import { hkdfSync, randomBytes } from 'node:crypto';

const keyLength = 32;

/**
 * The secret key of one service, shared by all its instances and unknown to other services. A separate key is derived for
 * each purpose, so that one derived key reveals nothing about the others.
 *
 * Several keys are a rotation in progress: the first one is current, the others only decrypt and verify older data.
 */
export class ServiceKey {
  /** Private, so that neither a log nor JSON can contain it. */
  readonly #keys: readonly Buffer[];

  private constructor(keys: readonly Buffer[]) {
    this.#keys = keys;
  }

  /**
   * Reads 32 bytes in base64url, or several such keys separated by commas.
   * @throws SyntaxError if a key has another length or is not canonical base64url; the message does not contain the text
   */
  static parse(text: string): ServiceKey {
    const keys = text.split(',').map((part) => {
      const key = Buffer.from(part, 'base64url');
      if (key.length !== keyLength || key.toString('base64url') !== part)
        throw new SyntaxError('must be 32 bytes in base64url, or several such keys separated by commas');
      return key;
    });
    return new ServiceKey(keys);
  }

  /** A key that no other process has. */
  static random(): ServiceKey {
    return new ServiceKey([randomBytes(keyLength)]);
  }

  /**
   * Derives 32-byte keys with HKDF (RFC 5869) and SHA-256.
   * @param purpose another purpose gives unrelated keys
   * @returns the current key first, then those of earlier rotations
   */
  derive(purpose: string): [current: Buffer, ...earlier: Buffer[]] {
    return this.#keys.map((key) =>
      Buffer.from(hkdfSync('sha256', key, 'jogakbo service key', purpose, keyLength)),
    ) as [Buffer, ...Buffer[]];
  }
}
