import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
export const ivLength = 12;
export const tagLength = 16;

/**
 * A key made of a long random password.
 * @param purpose another one gives another key
 */
export function deriveKey(password: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', password, 'jogakbo', purpose, 32));
}

/**
 * Encrypts a text with AES-256-GCM.
 * @param about what it is the value of: it opens only as that, so that one secret cannot be put in the place of another
 */
export function encrypt(key: Buffer, text: string, about: string): string {
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(Buffer.from(about));
  const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), encrypted]).toString('base64url');
}

/** The text that was sealed. @throws Error with another key, as something else, or where a bit was changed */
export function decrypt(key: Buffer, sealed: string, about: string): string {
  const bytes = Buffer.from(sealed, 'base64url');
  if (bytes.toString('base64url') !== sealed) throw new Error('not canonical base64url');
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivLength), {
    authTagLength: tagLength,
  });
  decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(ivLength, ivLength + tagLength));
  const encrypted = bytes.subarray(ivLength + tagLength);
  return Buffer.concat([decipher.update(encrypted), decipher.final()]).toString('utf8');
}
