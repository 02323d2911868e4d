import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { readWorkspaceConfig } from '@jogakbo/contract/workspace';
import { buildComposeFile } from '../src/compose/compose-file.ts';
import { listApps, root } from '../src/workspace.ts';

const file = join(root, 'docker-compose.yml');

it('docker-compose.yml shows the current declarations', async () => {
  const current = buildComposeFile(listApps(), await readWorkspaceConfig(root));
  if (readFileSync(file, 'utf8') !== current)
    throw new Error('docker-compose.yml must be updated; run: npx jogakbo compose --write');
  expect(current).toContain('services:');
});
