import { describe, expect, it } from '@jest/globals';
import { Staff } from './staff.ts';

const read = (text: string) => Staff.safeParse(text);
const problems = (text: string) => read(text).error?.issues.map(({ message }) => message);
const operator = { email: 'Op@x.example', name: 'Op', password: 'a secret of hers', roles: ['operator'] };

describe('the list of staff', () => {
  it('is read, addresses lower-cased', () => {
    expect(read(JSON.stringify([operator])).data).toEqual([{ ...operator, email: 'op@x.example' }]);
  });

  it.each([
    ['what is no JSON', '[{"password": "a secret of hers"', ['is not JSON']],
    ['what is no list', '{}', ['Invalid input: expected array, received object']],
    [
      'an unknown role',
      JSON.stringify([operator, { ...operator, roles: ['king'] }]),
      ['1.roles.0: Invalid option: expected one of "member"|"merchant"|"operator"'],
    ],
    [
      'a password that is guessed first',
      JSON.stringify([operator, { ...operator, email: 'secretary@x.example', password: 'Secretary-2026' }]),
      ['1.password: must not contain the name in the address'],
    ],
    [
      'an address twice',
      JSON.stringify([operator, { ...operator, email: 'op@X.example' }]),
      ['names an address twice'],
    ],
  ])('refuses %s and does not repeat the secret', (_, text, expected) => {
    expect(problems(text)).toEqual(expected);
    expect(JSON.stringify(problems(text))).not.toContain('secret');
  });
});
