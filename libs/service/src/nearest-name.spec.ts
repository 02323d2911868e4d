import { expect, it } from '@jest/globals';
import { nearestName } from './nearest-name.ts';

it.each([
  ['logLevl', 'logLevel'],
  ['loglevel', 'logLevel'],
  ['cachee', 'cache'],
  ['prot', 'port'],
  ['somethingElse', undefined],
  ['', undefined],
])('the nearest name to %j is %j', (given, meant) =>
  expect(nearestName(given, ['port', 'logLevel', 'cache'])).toBe(meant),
);
