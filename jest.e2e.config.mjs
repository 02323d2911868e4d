// Specs that start the real processes of a whole store and meet it only from outside.
import { base } from './jest.config.mjs';

export default {
  ...base,
  roots: ['<rootDir>/tools/cli', '<rootDir>/tools/chaos'],
  testRegex: '\\.e2e\\.spec\\.ts$',
  testTimeout: 120_000,
  // Two stores at a time: each waits more than it works. The longest come first, so that neither is left over at the end.
  maxWorkers: 2,
  testSequencer: '<rootDir>/jest.e2e.sequencer.mjs',
};
