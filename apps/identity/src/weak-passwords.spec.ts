import { describe, expect, it } from '@jest/globals';
import { findWeakness } from './weak-passwords.ts';

const email = 'gildong.hong+shop@example.com';

describe('a new password', () => {
  it.each([
    ...[
      'password',
      'Password',
      'PASSWORD1!',
      'p@ssw0rd',
      'Pa$$w0rd2026',
      'passwordpassword',
      '１２３４５６７８',
    ],
    ...['            ', 'aaaaaaaaaaaa', 'abababab', 'abcabcabca', '조각조각조각조각'],
    ...['12345678', '87654321', '1234567890', 'abcdefgh', 'qwertyuiop', 'qwer1234', '1q2w3e4r', 'zxcvbnm123'],
    ...['iloveyou', 'letmein123', '비밀번호123', 'tkfkdgo1234', '가나다라마바사아'],
    ...['gildong.hong+shop@example.com', 'gildong.hong', 'Gildong.Hong1988', 'my gildong.hong pw'],
  ])('is rejected: %j', (password) => {
    expect(findWeakness(password, email)).toMatch(/^(must not|is one of)/);
  });

  it('is rejected if it is a short name with digits', () => {
    expect(findWeakness('kim19881212', 'kim@example.com')).toBeDefined();
    expect(findWeakness('a kimono for spring', 'kim@example.com')).toBeUndefined();
  });

  it.each([
    // Used in the READMEs.
    ...['a long password', 'correct horse battery', '조각보-correct-horse', 'password of member 7'],
    ...['0198f0c2-7a3e-7b1c-9a55-3f0d8b1f2a77', 'hush-hush', 'x7#Qp2!mZ', '94837261', 'bcdfgh-rstv-9'],
  ])('is accepted: %j', (password) => {
    expect(findWeakness(password, email)).toBeUndefined();
  });
});
