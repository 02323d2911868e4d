import { expect, it } from '@jest/globals';
import { nearestName } from './nearest-name.ts';

it.each([
  ['logLevl', 'logLevel'],
  ['loglevel', 'logLevel'],
  ['cataloge', 'catalog'],
  ['prot', 'port'],
  ['somethingElse', undefined],
  ['', undefined],
])('the nearest name to %j is %j', (given, meant) =>
  expect(nearestName(given, ['port', 'logLevel', 'catalog'])).toBe(meant),
);
