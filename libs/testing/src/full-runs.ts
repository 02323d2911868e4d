import { it } from '@jest/globals';

const isFull = Boolean(process.env['TEST_FULL']);

/** A test that costs more than each run of `npm test` should spend: it runs in `npm run test:full`. */
export const inFullRuns: typeof it.skip = isFull ? it : it.skip;

/** Fibonacci hashing: multiples of it are spread evenly, whatever the structure of an enumeration. */
const spread = 2_654_435_761;

/** A fixed quarter of many cases, spread evenly over them; all of them in `npm run test:full`. */
export const sampleCases = <T>(cases: readonly T[]): T[] =>
  cases.filter((_, index) => isFull || Math.imul(index, spread) >>> 30 === 0);
