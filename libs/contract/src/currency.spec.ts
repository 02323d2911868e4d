import { describe, expect, it } from '@jest/globals';
import { isCurrency, minorUnitDigits } from './currency.ts';

describe('minor units', () => {
  it.each([
    ['KRW', 0],
    ['JPY', 0],
    ['EUR', 2],
    ['HUF', 2],
    ['LBP', 2],
    ['IQD', 3],
    ['KWD', 3],
    ['CLF', 4],
  ])('%s has %d digits', (code, digits) => {
    expect(isCurrency(code)).toBe(true);
    expect(minorUnitDigits(code)).toBe(digits);
  });

  it.each(['QQQ', 'XXX', 'XTS', 'XAU', 'krw', '', 'constructor'])('%j is no currency', (code) => {
    expect(isCurrency(code)).toBe(false);
  });
});
