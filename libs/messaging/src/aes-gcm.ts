import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
export const ivLength = 12;
export const tagLength = 16;

/** The result of AES-256-GCM. Every stored or sent format has its own layout of these parts. */
export interface Ciphertext {
  iv: Buffer;
  tag: Buffer;
  content: Buffer;
}

/**
 * Encrypts a text with AES-256-GCM and a random IV.
 * @param associated data that is authenticated but not encrypted
 */
export function encryptText(key: Buffer, text: string, associated: string): Ciphertext {
  const iv = randomBytes(ivLength);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(Buffer.from(associated));
  const content = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return { iv, tag: cipher.getAuthTag(), content };
}

/** Decrypts the result of `encryptText`. @throws Error for another key, other associated data or a changed bit */
export function decryptBytes(key: Buffer, { iv, tag, content }: Ciphertext, associated: string): Buffer {
  const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagLength });
  decipher.setAAD(Buffer.from(associated)).setAuthTag(tag);
  return Buffer.concat([decipher.update(content), decipher.final()]);
}
