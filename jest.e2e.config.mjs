// End-to-end tests: start the real processes of a whole store and use only its public interfaces.
import { base } from './jest.config.mjs';

export default {
  ...base,
  roots: ['<rootDir>/tools'],
  // `npm run test:full` also runs the long suites, which search for rare faults: *.full.spec.ts.
  testRegex: process.env.TEST_FULL ? '\\.(e2e|full)\\.spec\\.ts$' : '\\.e2e\\.spec\\.ts$',
  testTimeout: 120_000,
  // Two stores at a time, because each one is often idle. The longest suites run first, so that both workers end together.
  maxWorkers: 2,
  testSequencer: '<rootDir>/jest.e2e.sequencer.mjs',
};
