import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const authorityName = 'authority';

export const certificateFile = (folder: string, name: string): string => join(folder, `${name}.crt`);
export const keyFile = (folder: string, name: string): string => join(folder, `${name}.key`);
export const authorityFile = (folder: string): string => certificateFile(folder, authorityName);

/** Reads a certificate and its private key. Undefined if one is missing or invalid, or if they do not match. */
export function readPair(
  folder: string,
  name: string,
): { certificate: X509Certificate; key: KeyObject } | undefined {
  try {
    const certificate = new X509Certificate(readFileSync(certificateFile(folder, name)));
    const key = createPrivateKey(readFileSync(keyFile(folder, name)));
    return certificate.checkPrivateKey(key) ? { certificate, key } : undefined;
  } catch {
    return undefined;
  }
}
