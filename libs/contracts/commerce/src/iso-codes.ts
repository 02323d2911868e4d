import { z } from 'zod';

/**
 * ISO 4217, list one as of January 2026, by number of minor units. Without funds, metals and test codes: no price uses
 * them. Withdrawn currencies are removed from this list, so stored data must not be validated with it.
 */
const currencies: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF',
  2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE
    CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR
    KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY
    TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG`,
  3: 'BHD IQD JOD KWD LYD OMR TND',
};

/** The number of minor units of each currency of ISO 4217: 2 for EUR (1 euro is 100 cents), 0 for KRW. */
export const minorUnitsByCurrency: ReadonlyMap<string, number> = new Map(
  Object.entries(currencies).flatMap(([digits, codes]) =>
    codes.split(/\s+/).map((code) => [code, Number(digits)] as const),
  ),
);

/**
 * The number of decimal places of an amount in minor units. Do not use `Intl.NumberFormat` for it: Unicode's data omit
 * digits that are not used in cash (HUF, LBP, IQD).
 * @param code a withdrawn currency gets 2 digits, as nearly all of them had
 */
export const minorUnitDigits = (code: string): number => minorUnitsByCurrency.get(code) ?? 2;

/** ISO 3166-1 alpha-2, officially assigned codes. */
const countries =
  `AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
  CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
  GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
  KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
  MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
  SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
  UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW`.split(/\s+/);

/** For input: a currency in the current list of ISO 4217. */
export const CurrencyCode = z.enum(
  [...minorUnitsByCurrency.keys()],
  'must be a currency of ISO 4217, such as EUR',
);

/** For input: a country in the current list of ISO 3166-1. */
export const CountryCode = z.enum(
  countries,
  'must be a country of ISO 3166-1, in two capital letters such as KR',
);
