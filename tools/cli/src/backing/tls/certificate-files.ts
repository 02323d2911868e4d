import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const authorityName = 'authority';

export const certificateFile = (folder: string, name: string): string => join(folder, `${name}.crt`);
export const keyFile = (folder: string, name: string): string => join(folder, `${name}.key`);
export const authorityFile = (folder: string): string => certificateFile(folder, authorityName);

/** A certificate and its private key as they lie in the folder; undefined where one is missing, broken or not the other's. */
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
