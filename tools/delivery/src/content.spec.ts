import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readContents } from './content.ts';
import { SampleWorkspace } from './sample-workspace.ts';

let workspace: SampleWorkspace;

beforeEach(() => {
  workspace = new SampleWorkspace();
});
afterEach(() => rmSync(workspace.root, { recursive: true }));

async function readHashes(): Promise<Record<string, string>> {
  const contents = await readContents(workspace.root);
  return Object.fromEntries([...contents].map(([service, { hash }]) => [service, hash]));
}

/** The services whose hash a change has changed. */
async function findChanged(change: () => void): Promise<string[]> {
  const before = await readHashes();
  change();
  const after = await readHashes();
  return Object.keys(after).filter((service) => after[service] !== before[service]);
}

const replaceSource = (folder: string) => workspace.write(`${folder}/src/main.ts`, 'export {};\n');

describe('the content of a service', () => {
  it('is the same until something changes', async () => {
    expect(await findChanged(() => workspace.writeLock())).toEqual([]);
    const { hash, version } = (await readContents(workspace.root)).get('tea')!;
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(version).toBe(`1.0.0-${hash.slice(0, 10)}`);
  });

  it.each<[string, string[], () => void]>([
    ['a source of one app', ['tea'], () => replaceSource('apps/tea')],
    ['a new source', ['tea'], () => workspace.write('apps/tea/src/sugar.ts', '')],
    [
      'a renamed source',
      ['coffee'],
      () => {
        workspace.write('apps/coffee/src/other.ts', workspace.read('apps/coffee/src/main.ts'));
        rmSync(join(workspace.root, 'apps/coffee/src/main.ts'));
      },
    ],
    ['a migration', ['tea'], () => workspace.write('apps/tea/migrations/2-water.ts', '')],
    ['the version of an app', ['tea'], () => workspace.changeManifest('apps/tea', { version: '1.1.0' })],
    [
      'what an app declares',
      ['tea'],
      () => workspace.changeManifest('apps/tea', { jogakbo: { owner: 'tea' } }),
    ],
    ['a contract with a consumer', ['coffee', 'tea'], () => replaceSource('libs/contracts/tea')],
    ['a contract without consumers', ['coffee'], () => replaceSource('libs/contracts/coffee')],
    ['a library', ['coffee', 'tea'], () => replaceSource('libs/cup')],
    [
      'the build',
      ['coffee', 'tea'],
      () => workspace.write('tools/delivery/src/bundle.ts', 'export default 1;\n'),
    ],
    ['the image', ['coffee', 'tea'], () => workspace.write('deploy/Dockerfile', 'FROM other\n')],
    ['another file of delivery', [], () => workspace.write('tools/delivery/src/plan.ts', '')],
    ['a README', [], () => workspace.write('apps/tea/README.md', 'Tea')],
    ['a README among the sources', [], () => workspace.write('apps/tea/src/README.md', 'Tea')],
    ['a test', [], () => workspace.write('apps/tea/test/tea.int.spec.ts', '')],
    ['a test among the sources', [], () => workspace.write('apps/tea/src/tea.spec.ts', '')],
    ['a hidden file', [], () => workspace.write('apps/tea/src/.env', 'KEY=1')],
    [
      'a development dependency',
      [],
      () => workspace.changeManifest('apps/tea', { devDependencies: { jest: '30.0.0' } }),
    ],
  ])('differs after a change of %s only for %j', async (_what, services, change) => {
    expect(await findChanged(change)).toEqual(services);
  });
});

describe('the packages of a service', () => {
  it.each<[string, string[], () => void]>([
    [
      'of one service',
      ['tea'],
      () => {
        workspace.addPackage('node_modules/pg', '8.0.1', { dependencies: { 'pg-types': '2.0.0' } });
        workspace.changeManifest('apps/tea', {
          dependencies: { '@jogakbo/cup': '1.0.0', '@jogakbo/contracts-tea': '1.0.0', pg: '8.0.1' },
        });
      },
    ],
    ['behind it', ['tea'], () => workspace.addPackage('node_modules/pg-types', '2.0.1')],
    [
      'with another archive',
      ['tea'],
      () => workspace.addPackage('node_modules/pg-types', '2.0.0', { integrity: 'sha512-other' }),
    ],
    ['of a library', ['coffee', 'tea'], () => workspace.addPackage('node_modules/zod', '4.0.1')],
    ['of no service', [], () => workspace.addPackage('node_modules/jest', '30.0.1', { dependencies: {} })],
  ])('change its content: a package %s', async (_what, services, change) => {
    expect(await findChanged(change)).toEqual(services);
  });

  it('stay the same when another service gets one, even an optional peer', async () => {
    workspace.addPackage('node_modules/pg', '8.0.0', {
      dependencies: { 'pg-types': '2.0.0' },
      peerDependencies: { 'pg-native': '*' },
      peerDependenciesMeta: { 'pg-native': { optional: true } },
    });
    const changed = await findChanged(() => {
      workspace.addPackage('node_modules/pg-native', '3.0.0');
      workspace.changeManifest('apps/coffee', {
        dependencies: {
          ...(JSON.parse(workspace.read('apps/coffee/package.json')) as { dependencies: object })
            .dependencies,
          'pg-native': '3.0.0',
        },
      });
    });
    expect(changed).toEqual(['coffee']);
  });

  it('are refused while package-lock.json is older than a package.json', async () => {
    const manifest = JSON.parse(workspace.read('libs/cup/package.json')) as object;
    workspace.write('libs/cup/package.json', JSON.stringify({ ...manifest, dependencies: { zod: '4.0.1' } }));
    await expect(readContents(workspace.root)).rejects.toMatchObject({
      message: 'package-lock.json is older than libs/cup/package.json.',
      details: ['zod@4.0.0 (only in package-lock.json)', 'zod@4.0.1'],
    });
  });
});

it('reads the contents of all services of this workspace within a second', async () => {
  const began = performance.now();
  const root = join(import.meta.dirname, '..', '..', '..');
  const contents = await readContents(root);
  expect(performance.now() - began).toBeLessThan(1_000);
  expect(contents.size).toBe(globSync('apps/*/package.json', { cwd: root }).length);
});
