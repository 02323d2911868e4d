import { afterAll, expect, it } from '@jest/globals';
import type { Tree } from '@nx/devkit';
import { flushChanges, FsTree } from 'nx/src/generators/tree';
import generateEvent from '../src/event/generator.ts';
import generateMigration from '../src/migration/generator.ts';
import generateProjection from '../src/projection/generator.ts';
import generateCommand from '../src/request/command.ts';
import generateQuery from '../src/request/query.ts';
import generateService from '../src/service/generator.ts';
import { installProjects } from '../src/workspace-packages.ts';
import { PlatformCopy } from './platform-copy.ts';

const workspace = new PlatformCopy();
afterAll(() => workspace.remove());

async function generate<Options>(
  generator: (tree: Tree, options: Options) => Promise<unknown>,
  options: Options,
): Promise<void> {
  const tree = new FsTree(workspace.root, false);
  await generator(tree, options);
  flushChanges(workspace.root, tree.listChanges());
}

it('all generated parts pass their integration tests unedited', async () => {
  const service = 'letters';
  await generate(generateService, { name: service });
  // `order` is a reserved word of SQL.
  await generate(generateService, { name: 'audit', entity: 'order' });
  const folders = [service, 'audit'].flatMap((name) => [`apps/${name}`, `libs/contracts/${name}`]);
  installProjects(workspace.root, folders);
  await generate(generateCommand, { service, name: 'send-letter' });
  await generate(generateQuery, { service, name: 'get-letter' });
  await generate(generateEvent, { service, name: 'letter-added', handledBy: 'audit' });
  await generate(generateProjection, {
    service: 'audit',
    name: 'recent-letters',
    event: 'letters.letter-added',
  });
  await generate(generateMigration, {
    service,
    name: 'letter-colour',
    up: 'ALTER TABLE letter ADD colour text',
  });
  const { code, output } = await workspace.run(process.execPath, [
    ...['tools/cli/src/main.ts', 'with-backing-services', '--', process.execPath],
    ...[
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      'node_modules/jest/bin/jest.js',
    ],
    ...['--config', 'jest.integration.config.mjs', '--roots', 'apps/letters', 'apps/audit'],
  ]);
  expect(code === 0 ? 'well' : output).toBe('well');
  expect(output).toContain('Test Suites: 6 passed');
}, 600_000);
