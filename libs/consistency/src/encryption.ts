import { hkdfSync } from 'node:crypto';
import { decryptBytes, encryptText, ivLength, tagLength } from '@jogakbo/messaging/aes-gcm';

/**
 * Derives a key from a long random password (HKDF-SHA-256).
 * @param purpose each purpose gives a different key
 */
export function deriveKey(password: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', password, 'jogakbo', purpose, 32));
}

/**
 * Encrypts a text with AES-256-GCM.
 * @param associatedData the name of the value, authenticated with it: one secret cannot replace another
 */
export function encrypt(key: Buffer, text: string, associatedData: string): string {
  const { iv, tag, content } = encryptText(key, text, associatedData);
  return Buffer.concat([iv, tag, content]).toString('base64url');
}

/** Decrypts the result of `encrypt`. @throws Error for another key, other associated data or a changed bit */
export function decrypt(key: Buffer, encoded: string, associatedData: string): string {
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded)
    throw new Error('the encrypted text is not canonical base64url');
  const parts = {
    iv: bytes.subarray(0, ivLength),
    tag: bytes.subarray(ivLength, ivLength + tagLength),
    content: bytes.subarray(ivLength + tagLength),
  };
  return decryptBytes(key, parts, associatedData).toString('utf8');
}
