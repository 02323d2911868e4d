import { describe, expect, it } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { decryptFields, encryptFields } from './personal-data.ts';

const key = Buffer.alloc(32, 7);
const withKey = { query: async () => [{ id: 'a key', key }] } as unknown as EntityManager;
const storedKey = { key, isKeyCertain: true };
const shipTo = { name: '김조각', city: 'Seoul' };
/** Written by an earlier release with its own layout: nonce, ciphertext and tag. */
const stored = 'CQkJCQkJCQkJCQkJXKfq9dOV41uCiHK4CksTNWQxQd8WjZ60Fox8hIYRbg+/x5pXSaXRy8mgNmH6PY9KpkcV';

describe('personal data', () => {
  it('that an earlier release stored is readable', () => {
    expect(decryptFields({ shipTo: { sealed: stored }, total: 5 }, storedKey)).toEqual({ shipTo, total: 5 });
  });

  it('is stored in the same layout, and can be decrypted', async () => {
    const { data: encrypted, keyId } = await encryptFields(withKey, 'a person', { shipTo, total: 5 }, [
      'shipTo',
    ]);
    expect(keyId).toBe('a key');
    expect(JSON.stringify(encrypted)).not.toContain('Seoul');
    const { sealed: text } = encrypted.shipTo as { sealed: string };
    expect(text).toHaveLength(stored.length);
    expect(decryptFields(encrypted, storedKey)).toEqual({ shipTo, total: 5 });
  });

  it.each([
    ['a changed tag', stored.replace(/..$/, (end) => (end === 'AA' ? 'AB' : 'AA'))],
    ['other characters', `${stored.slice(0, 20)}*${stored.slice(20)}`],
    ['nothing', ''],
  ])('is rejected with %s', (_, text) => {
    expect(() => decryptFields({ shipTo: { sealed: text } }, storedKey)).toThrow();
  });

  it('is replaced by the erased value without its key', () => {
    const noKey = { key: null, isKeyCertain: true };
    expect(decryptFields({ shipTo: { sealed: stored } }, noKey, { shipTo: '-' })).toEqual({ shipTo: '-' });
  });
});
