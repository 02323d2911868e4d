import { mkdirSync } from 'node:fs';

// Jest writes its results there and does not make the folder.
mkdirSync('.jogakbo/test-results', { recursive: true });

// Specs of pure logic: no broker, no database, no Nest where it can be avoided.
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
  watchman: false,
};

export default { ...base, testRegex: '/(?!.*\\.(int|e2e)\\.spec)[^/]+\\.spec\\.ts$' };
