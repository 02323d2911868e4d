import { inspect } from 'node:util';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ServiceKey } from '@jogakbo/messaging';
import { StorageEncryption } from './storage-encryption.ts';

const [first, second] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')];
const storage = (text: string) => new StorageEncryption(ServiceKey.parse(text));

describe('StorageEncryption', () => {
  it('decrypts a value only with the context that it was encrypted with', () => {
    const stored = storage(first).encrypt({ token: 'tok_ok' }, 'saga 1');
    expect(JSON.stringify(stored)).not.toContain('tok_ok');
    expect(storage(first).decrypt(JSON.parse(JSON.stringify(stored)), 'saga 1')).toEqual({ token: 'tok_ok' });
    expect(() => storage(first).decrypt(stored, 'saga 2')).toThrow();
    const [id, text] = stored.encrypted.split('.') as [string, string];
    const bytes = Buffer.from(text, 'base64url');
    bytes[bytes.length - 1]! ^= 1;
    expect(() =>
      storage(first).decrypt({ encrypted: `${id}.${bytes.toString('base64url')}` }, 'saga 1'),
    ).toThrow();
    expect(() => storage(first).decrypt({ encrypted: `${id}.${text}=` }, 'saga 1')).toThrow('canonical');
  });

  it('decrypts earlier values after a rotation, until the old key is removed', () => {
    const stored = storage(first).encrypt('old', 'x');
    const rotated = storage(`${second},${first}`);
    expect(rotated.decrypt(stored, 'x')).toBe('old');
    expect(rotated.isOutdated(stored)).toBe(true);
    expect(rotated.isOutdated(rotated.encrypt('new', 'x'))).toBe(false);
    expect(() => storage(second).decrypt(stored, 'x')).toThrow('SERVICE_KEY has no key that decrypts x');
  });

  it('returns a value that was stored as plaintext unchanged', () => {
    const similar = [{ encrypted: 'yes' }, { ...storage(second).encrypt('', 'x'), more: 1 }];
    for (const plaintext of [{ token: 'tok_ok' }, null, 'text', 7, ...similar]) {
      expect(storage(first).decrypt(plaintext, 'x')).toEqual(plaintext);
      expect(storage(first).isOutdated(plaintext)).toBe(true);
    }
  });

  it('computes fingerprints with the secret keys of the service, also with those before a rotation', () => {
    const [print, ...more] = storage(first).fingerprints('a');
    expect(more).toEqual([]);
    expect(storage(`${second},${first}`).fingerprints('a')).toEqual([expect.any(String), print]);
    expect(storage(first).fingerprints('b')).not.toEqual([print]);
    expect(storage(second).fingerprints('a')).not.toEqual([print]);
  });

  it('shows its keys in no log', () => {
    const shown = inspect(storage(first), { depth: 9, showHidden: true }) + JSON.stringify(storage(first));
    expect(shown).not.toMatch(/Buffer|Map/);
  });
});
