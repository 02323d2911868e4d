import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

/** Who may lean on whom: DESIGN's table, in Nx's words. Seen to refuse in tools/boundary-proof. */
const boundaries = [
  { sourceTag: 'type:app', onlyDependOnLibsWithTags: ['type:contracts', 'type:contract', 'type:platform'] },
  { sourceTag: 'type:contracts', onlyDependOnLibsWithTags: ['type:contract'], allowedExternalImports: ['zod'] },
  { sourceTag: 'layer:contract', onlyDependOnLibsWithTags: [], allowedExternalImports: ['zod', '@jest/globals'] },
  { sourceTag: 'layer:messaging', onlyDependOnLibsWithTags: ['layer:contract', 'layer:testing'] },
  { sourceTag: 'layer:consistency', onlyDependOnLibsWithTags: ['layer:contract', 'layer:messaging', 'layer:testing'] },
  { sourceTag: 'layer:service', onlyDependOnLibsWithTags: ['type:contract', 'type:platform'] },
  { sourceTag: 'layer:testing', onlyDependOnLibsWithTags: ['type:contract', 'type:platform'] },
  { sourceTag: 'type:tool', onlyDependOnLibsWithTags: ['type:contracts', 'type:contract', 'type:platform'] },
];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/node_modules/**'] },
  ...tseslint.configs.recommended,
  { plugins: { '@nx': nx } },
  {
    files: ['**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': ['error', { allow: [], depConstraints: boundaries, banTransitiveDependencies: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    },
  },
);
