import { describe, expect, it } from '@jest/globals';
import { dummyHash, hashPassword, verifyPassword } from './password.ts';

describe('a password', () => {
  it('matches its own hash only', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    await expect(verifyPassword('correct horse', hash)).resolves.toBe(true);
    await expect(verifyPassword('correct Horse', hash)).resolves.toBe(false);
    await expect(verifyPassword('correct horse', dummyHash)).resolves.toBe(false);
  });

  it('is salted: the same one hashes differently', async () => {
    expect(await hashPassword('correct horse')).not.toBe(await hashPassword('correct horse'));
  });

  it('matches in composed and decomposed Hangul', async () => {
    const hash = await hashPassword('조각보'.normalize('NFD'));
    await expect(verifyPassword('조각보'.normalize('NFC'), hash)).resolves.toBe(true);
  });

  it('is verified with the parameters of the hash, here one of libargon2', async () => {
    // From the test suite of the reference implementation.
    const reference = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4';
    await expect(verifyPassword('password', reference)).resolves.toBe(true);
  });

  it('is not verified against an invalid hash', async () => {
    await expect(verifyPassword('password', 'password')).rejects.toThrow('PHC');
  });
});
