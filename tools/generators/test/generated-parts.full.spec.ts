import { afterAll, expect, it } from '@jest/globals';
import type { Tree } from '@nx/devkit';
import { flushChanges, FsTree } from 'nx/src/generators/tree';
import generateEvent from '../src/event/generator.ts';
import generateMigration from '../src/migration/generator.ts';
import generateProjection from '../src/projection/generator.ts';
import generateCommand from '../src/request/command.ts';
import generateQuery from '../src/request/query.ts';
import generateSaga from '../src/saga/generator.ts';
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

it('all generated parts pass their unit and integration tests unedited', async () => {
  const service = 'letters';
  await generate(generateService, { name: service });
  // `order` is a reserved word of SQL.
  await generate(generateService, { name: 'audit', entity: 'order' });
  const folders = [service, 'audit'].flatMap((name) => [`apps/${name}`, `libs/contracts/${name}`]);
  installProjects(workspace.root, folders);
  await generate(generateCommand, { service, name: 'send-letter' });
  await generate(generateQuery, { service, name: 'get-letter' });
  await generate(generateSaga, { service, name: 'follow-up', event: 'letters.letter-added' });
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
  const nodeFlags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const runJest = (config: string) => [
    ...[...nodeFlags, 'node_modules/jest/bin/jest.js', '--config', config],
    ...['--roots', 'apps/letters', 'apps/audit'],
  ];
  const unit = await workspace.run(process.execPath, runJest('jest.config.mjs'));
  expect(unit.code === 0 ? 'well' : unit.output).toBe('well');
  expect(unit.output).toContain('Test Suites: 3 passed');
  const integration = await workspace.run(process.execPath, [
    ...['tools/cli/src/main.ts', 'with-backing-services', '--', process.execPath],
    ...runJest('jest.integration.config.mjs'),
  ]);
  expect(integration.code === 0 ? 'well' : integration.output).toBe('well');
  expect(integration.output).toContain('Test Suites: 8 passed');
}, 600_000);
