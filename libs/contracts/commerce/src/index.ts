export { CountryCode, CurrencyCode, minorUnitDigits } from './iso-codes.ts';
export { Money } from './money.ts';
