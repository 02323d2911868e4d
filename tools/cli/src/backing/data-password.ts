import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** In the data folder of a server: a digest of its administrator's password, which cannot be guessed. */
const getFile = (folder: string): string => join(folder, 'jogakbo-password.sha256');
const computeDigest = (password: string): string => createHash('sha256').update(password).digest('hex');

/** Whether the data was created with another password, as after the loss of secrets.json. False if that is not known. */
export function hasOtherPassword(folder: string, password: string): boolean {
  try {
    return readFileSync(getFile(folder), 'utf8') !== computeDigest(password);
  } catch {
    return false;
  }
}

/** Call it when the server has accepted the password. */
export const recordPassword = (folder: string, password: string): void =>
  writeFileSync(getFile(folder), computeDigest(password), { mode: 0o600 });

/** The name under which data with a lost password is kept. */
export const getLostName = (name: string): string => `${name}-of-a-lost-store-${Date.now()}`;
