import { describe, expect, it } from '@jest/globals';
import { findStaffProblem, Staff } from './staff.ts';

const read = (text: string) => Staff.safeParse(text);
const problems = (text: string) => read(text).error?.issues.map(({ message }) => message);
const operator = { email: 'Op@x.example', name: 'Op', password: 'a secret of hers', roles: ['operator'] };

describe('the list of staff', () => {
  it('is parsed, with addresses in lower case', () => {
    expect(read(JSON.stringify([operator])).data).toEqual([{ ...operator, email: 'op@x.example' }]);
  });

  it.each([
    ['invalid JSON', '[{"password": "a secret of hers"', ['is not JSON']],
    ['a value that is not a list', '{}', ['Invalid input: expected array, received object']],
    [
      'an invalid role',
      JSON.stringify([operator, { ...operator, email: 'a@x.example', roles: ['King'] }]),
      ['1.roles.0: must be in kebab-case'],
    ],
    [
      'a weak password',
      JSON.stringify([operator, { ...operator, email: 'secretary@x.example', password: 'Secretary-2026' }]),
      ['1.password: must not contain the name in the address'],
    ],
    [
      'a duplicate address',
      JSON.stringify([operator, { ...operator, email: 'op@X.example' }]),
      ['contains an address twice'],
    ],
  ])('rejects %s without revealing the secret', (_, text, expected) => {
    expect(problems(text)).toEqual(expected);
    expect(JSON.stringify(problems(text))).not.toContain('secret');
  });

  it('may contain only roles that exist', () => {
    const staff = read(
      JSON.stringify([operator, { ...operator, email: 'a@x.example', roles: ['member', 'king'] }]),
    );
    expect(findStaffProblem(staff.data!, ['taster'])).toBe(
      '1.roles.1: must be one of member, taster, operator',
    );
    expect(findStaffProblem(staff.data!, ['king'])).toBeUndefined();
  });
});
