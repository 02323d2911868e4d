import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** Permitted dependencies by Nx tag. tools/boundary-proof contains a violation that lint must reject. */
const boundaries = [
  // The platform is the part that other products start from: it must not know this store.
  { sourceTag: 'scope:platform', onlyDependOnLibsWithTags: ['scope:platform'] },
  { sourceTag: 'type:app', onlyDependOnLibsWithTags: ['type:contracts', 'type:contract', 'type:platform'] },
  {
    sourceTag: 'type:contracts',
    onlyDependOnLibsWithTags: ['type:contract'],
    allowedExternalImports: ['zod'],
  },
  {
    sourceTag: 'layer:contract',
    onlyDependOnLibsWithTags: [],
    allowedExternalImports: ['zod', '@jest/globals', 'fast-check'],
  },
  { sourceTag: 'layer:messaging', onlyDependOnLibsWithTags: ['layer:contract', 'layer:testing'] },
  { sourceTag: 'layer:resilience', onlyDependOnLibsWithTags: ['layer:contract'] },
  { sourceTag: 'layer:observability', onlyDependOnLibsWithTags: ['layer:contract'] },
  {
    sourceTag: 'layer:consistency',
    onlyDependOnLibsWithTags: ['layer:contract', 'layer:messaging', 'layer:testing'],
  },
  // serve() calls the config server for every service, so it depends on its contracts.
  {
    sourceTag: 'layer:service',
    onlyDependOnLibsWithTags: ['type:contract', 'type:platform', 'contracts:platform'],
  },
  { sourceTag: 'layer:testing', onlyDependOnLibsWithTags: ['type:contract', 'type:platform'] },
  {
    sourceTag: 'type:e2e',
    onlyDependOnLibsWithTags: ['type:tool', 'type:contracts', 'type:contract', 'type:platform'],
  },
  {
    sourceTag: 'type:store-tool',
    onlyDependOnLibsWithTags: ['type:tool', 'type:app', 'type:contracts', 'type:contract', 'type:platform'],
  },
  {
    sourceTag: 'type:tool',
    onlyDependOnLibsWithTags: ['type:tool', 'type:app', 'type:contracts', 'type:contract', 'type:platform'],
  },
];

export default tseslint.config(
  // jogakbo.config.ts belongs to no project, which the rule about dependencies needs.
  {
    ignores: ['**/dist/**', '**/node_modules/**', 'tools/boundary-proof/violations/**', 'jogakbo.config.ts'],
  },
  ...tseslint.configs.recommended,
  { plugins: { '@nx': nx } },
  {
    files: ['**/*.ts'],
    // Nest reads constructor types at run time: their imports are not type-only.
    languageOptions: { parserOptions: { emitDecoratorMetadata: true, experimentalDecorators: true } },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { allow: [], depConstraints: boundaries, banTransitiveDependencies: false },
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      'max-lines': ['error', 300],
    },
  },
  {
    // The callbacks of `describe` in tests are longer.
    files: ['**/src/**/*.ts'],
    ignores: ['**/*.spec.ts', 'libs/testing/src/conformance/**'],
    rules: { 'max-lines-per-function': ['error', 60] },
  },
);
