import { describe, expect, it } from '@jest/globals';
import { SecretEncryption } from './secret-encryption.ts';

const place = { application: 'orders', profile: 'default', label: 'main' };
const vault = (configKey: string[], configClients = {}) => new SecretEncryption({ configKey, configClients });
const header = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('the vault', () => {
  it('closes the same secret differently each time, and opens it only where it belongs', () => {
    const keeper = vault(['old']);
    const sealed = keeper.encrypt(place, 'token', 'secret');
    expect(keeper.encrypt(place, 'token', 'secret')).not.toBe(sealed);
    expect(keeper.decrypt(place, 'token', sealed)).toBe('secret');
    expect(() => keeper.decrypt(place, 'other', sealed)).toThrow('does not open other');
    expect(() => keeper.decrypt({ ...place, application: 'toys' }, 'token', sealed)).toThrow();
    expect(() => keeper.decrypt(place, 'token', `A${sealed.slice(1)}`)).toThrow();
    expect(() => keeper.decrypt(place, 'token', sealed.slice(0, 20))).toThrow();
  });

  it('opens with an older key what that one closed, and closes with the newest', () => {
    const sealed = vault(['old']).encrypt(place, 'token', 'secret');
    const keeper = vault(['new', 'old']);
    expect(keeper.decrypt(place, 'token', sealed)).toBe('secret');
    expect(() => vault(['new']).decrypt(place, 'token', sealed)).toThrow();
    expect(vault(['new']).decrypt(place, 'token', keeper.encrypt(place, 'token', 'x'))).toBe('x');
  });

  it('believes a name only with its password', () => {
    const keeper = vault(['key'], { orders: 'a:password with a colon', toys: 'another password' });
    expect(keeper.getClient(header('orders:a:password with a colon'))).toBe('orders');
    for (const wrong of ['orders:another password', 'toys:', 'nobody:', ':', 'orders', '', 'constructor:'])
      expect([wrong, keeper.getClient(header(wrong))]).toEqual([wrong, undefined]);
    expect(keeper.getClient(undefined)).toBeUndefined();
    expect(keeper.getClient('Bearer x')).toBeUndefined();
  });
});
