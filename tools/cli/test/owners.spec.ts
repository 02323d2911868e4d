import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { parseAppManifest, readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { codeOwnersFile, renderCodeOwners } from '../src/owners/code-owners.ts';
import { type App, listApps, root } from '../src/workspace.ts';

const createApp = (name: string, owner: string): App => ({
  ...{ name, folder: `apps/${name}`, main: 'dist/main.js', version: '1.0.0', hasDatabase: false },
  manifest: parseAppManifest({ owner }, name),
});
const codeOwners = { prefix: '@tea-company/', others: 'base' };

it('docs/CODEOWNERS shows the current owners', async () => {
  const current = renderCodeOwners(listApps(), await readWorkspaceConfig(root), root);
  if (readFileSync(join(root, codeOwnersFile), 'utf8') !== current)
    throw new Error(`${codeOwnersFile} must be updated; run: npx jogakbo owners --write`);
  expect(current).toContain('* @');
});

it('each team owns its services and their contracts, and one team all else', () => {
  const text = renderCodeOwners(
    [createApp('config', 'kitchen'), createApp('tea', 'shop')],
    { codeOwners },
    root,
  );
  expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
    '* @tea-company/base',
    '/apps/config/ @tea-company/kitchen',
    '/libs/contracts/config/ @tea-company/kitchen',
    '/apps/tea/ @tea-company/shop',
    '',
  ]);
});

it('refuses what is no team on GitHub or GitLab', () => {
  expect(() => renderCodeOwners([createApp('tea', 'The Kitchen')], { codeOwners }, root)).toThrow(
    'apps/tea/package.json: "The Kitchen" cannot be the name of a team on GitHub or GitLab.',
  );
  expect(() => renderCodeOwners([], { codeOwners: undefined }, root)).toThrow(
    /jogakbo\.config\.ts does not say/,
  );
});
