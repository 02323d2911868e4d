import { describe, expect, it } from '@jest/globals';
import { CountryCode, CurrencyCode, minorUnitDigits, minorUnitsByCurrency } from './iso-codes.ts';

describe('ISO codes', () => {
  it.each(['KR', 'US', 'GB'])('%s is a country', (code) => {
    expect(CountryCode.safeParse(code).success).toBe(true);
  });
  it.each(['ZZ', 'XK', 'EU', 'UK', 'AN', 'kr', 'KOR', ''])('%s is not a country', (code) => {
    expect(CountryCode.safeParse(code).success).toBe(false);
  });
  it.each(['KRW', 'EUR', 'XCG'])('%s is a currency', (code) => {
    expect(CurrencyCode.safeParse(code).success).toBe(true);
  });
  it.each(['QQQ', 'XXX', 'XTS', 'XAU', 'HRK', 'krw', ''])('%s is not a currency', (code) => {
    expect(CurrencyCode.safeParse(code).success).toBe(false);
  });
  it('have the minor units of ISO 4217 where CLDR differs', () => {
    const digits = ['KRW', 'HUF', 'LBP', 'IQD', 'TND', 'EUR'].map(minorUnitDigits);
    expect(digits).toEqual([0, 2, 2, 3, 3, 2]);
    expect(minorUnitDigits('HRK')).toBe(2);
    expect(minorUnitsByCurrency.size).toBe(155);
  });
});
