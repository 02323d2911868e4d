import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
export const ivLength = 12;
export const tagLength = 16;

/**
 * Derives a key from a long random password (HKDF-SHA-256).
 * @param purpose each purpose gives a different key
 */
export function deriveKey(password: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', password, 'jogakbo', purpose, 32));
}

/**
 * Encrypts a text with AES-256-GCM.
 * @param about the name of the value, authenticated with it: one secret cannot replace another
 */
export function encrypt(key: Buffer, text: string, about: string): string {
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(Buffer.from(about));
  const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), encrypted]).toString('base64url');
}

/** Decrypts the result of `encrypt`. @throws Error for another key, another `isAbout` or a changed bit */
export function decrypt(key: Buffer, encoded: string, about: string): string {
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded)
    throw new Error('the encrypted text is not canonical base64url');
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivLength), {
    authTagLength: tagLength,
  });
  decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(ivLength, ivLength + tagLength));
  const encrypted = bytes.subarray(ivLength + tagLength);
  return Buffer.concat([decipher.update(encrypted), decipher.final()]).toString('utf8');
}
