// Specs that start the real processes of a whole store and meet it only from outside.
import { base } from './jest.config.mjs';

export default {
  ...base,
  roots: ['<rootDir>/tools/cli', '<rootDir>/tools/chaos'],
  testRegex: '\\.e2e\\.spec\\.ts$',
  testTimeout: 120_000,
  // One store at a time: they would measure each other.
  maxWorkers: 1,
};
