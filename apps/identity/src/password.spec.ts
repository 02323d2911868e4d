import { describe, expect, it } from '@jest/globals';
import { hashPassword, nobodysHash, passwordFits } from './password.ts';

describe('a password', () => {
  it('fits its own hash and no other', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    await expect(passwordFits('correct horse', hash)).resolves.toBe(true);
    await expect(passwordFits('correct Horse', hash)).resolves.toBe(false);
    await expect(passwordFits('correct horse', nobodysHash)).resolves.toBe(false);
  });

  it('is salted: the same one hashes differently', async () => {
    expect(await hashPassword('correct horse')).not.toBe(await hashPassword('correct horse'));
  });

  it('is the same in composed and decomposed Hangul', async () => {
    const hash = await hashPassword('조각보'.normalize('NFD'));
    await expect(passwordFits('조각보'.normalize('NFC'), hash)).resolves.toBe(true);
  });

  it('is checked with the parameters of the hash: one that libargon2 made', async () => {
    // From the test suite of the reference implementation.
    const reference = '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4';
    await expect(passwordFits('password', reference)).resolves.toBe(true);
  });

  it('is not checked against what is no hash', async () => {
    await expect(passwordFits('password', 'password')).rejects.toThrow('PHC');
  });
});
