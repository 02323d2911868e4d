import { mkdirSync } from 'node:fs';
import { bundlePackages } from './jest.packages.mjs';

// Jest writes its results to this folder but does not create it.
mkdirSync('.jogakbo/test-results', { recursive: true });

// Isolates tests from the caller's own store: every suite, worker and child process gets only these environment variables.
// Settings of the tests themselves start with TEST_.
const kept =
  /^(PATH|HOME|USER|LOGNAME|SHELL|TERM|TMPDIR|PWD|CI|SUDO_USER|NODE_OPTIONS|NODE_V8_COVERAGE|NODE_EXTRA_CA_CERTS|(https?|no)_proxy|(DOCKER|XDG|TEST|RANDOM|JEST|NX)_.*|npm_config_.*|KILLS|MUTANTS)$/i;
for (const name of Object.keys(process.env)) if (!kept.test(name)) delete process.env[name];

// Unit tests: no broker, no database, and no Nest if it can be avoided.
export const base = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'json'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  // The packages of libraries have the names of the libraries.
  modulePathIgnorePatterns: ['/libs/.*/dist/'],
  moduleNameMapper: await bundlePackages(),
  watchman: false,
};

export default { ...base, testRegex: '/(?!.*\\.(int|e2e|full)\\.spec)[^/]+\\.spec\\.ts$' };
