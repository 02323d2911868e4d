import { describe, expect, it } from '@jest/globals';
import { SecretEncryption } from './secret-encryption.ts';

const place = { application: 'loans', profile: 'default', label: 'main' };
const createEncryption = (configKey: string[], configClients = {}) =>
  new SecretEncryption({ configKey, configClients });
const toBasicHeader = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('secret encryption', () => {
  it('encrypts with a random IV, and decrypts only for the same place and key', () => {
    const encryption = createEncryption(['old']);
    const encrypted = encryption.encrypt(place, 'token', 'secret');
    expect(encryption.encrypt(place, 'token', 'secret')).not.toBe(encrypted);
    expect(encryption.decrypt(place, 'token', encrypted)).toBe('secret');
    expect(() => encryption.decrypt(place, 'other', encrypted)).toThrow('does not decrypt other');
    expect(() => encryption.decrypt({ ...place, application: 'toys' }, 'token', encrypted)).toThrow();
    expect(() =>
      encryption.decrypt(place, 'token', `${encrypted.startsWith('A') ? 'B' : 'A'}${encrypted.slice(1)}`),
    ).toThrow();
    expect(() => encryption.decrypt(place, 'token', encrypted.slice(0, 20))).toThrow();
  });

  it('decrypts with older keys, and encrypts with the newest', () => {
    const encrypted = createEncryption(['old']).encrypt(place, 'token', 'secret');
    const encryption = createEncryption(['new', 'old']);
    expect(encryption.decrypt(place, 'token', encrypted)).toBe('secret');
    expect(() => createEncryption(['new']).decrypt(place, 'token', encrypted)).toThrow();
    expect(createEncryption(['new']).decrypt(place, 'token', encryption.encrypt(place, 'token', 'x'))).toBe(
      'x',
    );
  });

  it('authenticates a service only with its own password', () => {
    const encryption = createEncryption(['key'], {
      loans: 'a:password with a colon',
      toys: 'another password',
    });
    expect(encryption.getClient(toBasicHeader('loans:a:password with a colon'))).toBe('loans');
    for (const wrong of ['loans:another password', 'toys:', 'unknown:', ':', 'loans', '', 'constructor:'])
      expect([wrong, encryption.getClient(toBasicHeader(wrong))]).toEqual([wrong, undefined]);
    expect(encryption.getClient(undefined)).toBeUndefined();
    expect(encryption.getClient('Bearer x')).toBeUndefined();
  });
});
