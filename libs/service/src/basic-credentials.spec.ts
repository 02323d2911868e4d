import { describe, expect, it } from '@jest/globals';
import { readBasicCredentials, writeBasicCredentials } from './basic-credentials.ts';

const basic = (bytes: string | Buffer) => `Basic ${Buffer.from(bytes).toString('base64')}`;

describe('the credentials of HTTP Basic', () => {
  it.each([
    ['toys', 'a:password'],
    ['장난감', ''],
  ])('are written as they are read: %s', (name, password) =>
    expect(readBasicCredentials(writeBasicCredentials(name, password))).toEqual({ name, password }),
  );

  it.each([
    ['a name and a password', basic('toys:a password'), { name: 'toys', password: 'a password' }],
    ['colons in the password', basic('toys:a:b'), { name: 'toys', password: 'a:b' }],
    ['non-ASCII letters', basic('장난감:비밀'), { name: '장난감', password: '비밀' }],
    ['padding', 'Basic dG95czphYQ==', { name: 'toys', password: 'aa' }],
    ['a lower-case scheme', 'basic dG95czphYQ==', { name: 'toys', password: 'aa' }],
  ])('are read: %s', (_, header, expected) => expect(readBasicCredentials(header)).toEqual(expected));

  it.each([
    ['no header', undefined],
    ['another scheme', 'Bearer dG95czphYQ=='],
    ['nothing after the scheme', 'Basic '],
    ['no colon', basic('toys')],
    ['non-zero trailing bits', 'Basic dG95czphYR=='],
    ['no padding', 'Basic dG95czphYQ'],
    ['too much padding', 'Basic dG95czphYQ==='],
    ['padding inside', 'Basic dG95cz==phYQ=='],
    ['the alphabet of base64url', 'Basic dG95czo_Pz8_'],
    ['other characters', 'Basic dG95czph*YQ=='],
    ['white space', 'Basic dG95 czphYQ=='],
    ['bytes that are not UTF-8', basic(Buffer.from([0x61, 0x3a, 0xff]))],
  ])('are rejected: %s', (_, header) => expect(readBasicCredentials(header)).toBeUndefined());
});
