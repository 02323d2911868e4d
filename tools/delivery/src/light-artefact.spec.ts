import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readlinkSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readArtefact } from './artefact.ts';
import { WorkspaceContents } from './content.ts';
import { listLightArtefacts, removeLightArtefacts, writeLightArtefact } from './light-artefact.ts';
import { SampleWorkspace } from './sample-workspace.ts';

let workspace: SampleWorkspace;
let artefacts: string;

beforeEach(() => {
  workspace = new SampleWorkspace();
  workspace.build('tea');
  artefacts = join(workspace.root, '.jogakbo/artefacts');
});
afterEach(() => rmSync(workspace.root, { recursive: true }));

const write = (service = 'tea') =>
  writeLightArtefact(new WorkspaceContents(workspace.root), service, artefacts);

/** Lets the bundle print the versions of the packages that it imports. */
function importPackages(...names: string[]): void {
  const imports = names.map((name, index) => `import { version as v${index} } from '${name}';\n`);
  const all = names.map((_, index) => `v${index}`).join(', ');
  workspace.write('apps/tea/dist/main.js', `${imports.join('')}console.log(${all});\n`);
}

function run(folder: string): string {
  const args = ['dist/main.js'];
  const cwd = join(folder, 'apps/tea');
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.trim();
}

describe('the artefact for this machine', () => {
  it('is in a folder of its version, and runs', () => {
    workspace.addPackage('apps/tea/node_modules/pg', '7.0.0');
    importPackages('pg', 'zod');
    const folder = write();
    expect(folder).toBe(join(artefacts, 'tea', readArtefact(folder)!.version));
    expect(run(folder)).toBe('7.0.0 4.0.0');
  });

  it('has packages inside of packages, and the declaration of the service', () => {
    workspace.addPackage('node_modules/pg/node_modules/pg-types', '1.0.0');
    workspace.changeManifest('apps/tea', { jogakbo: { owner: 'kitchen' } });
    const folder = write();
    const nested = join(folder, 'node_modules/pg/node_modules/pg-types/package.json');
    expect(JSON.parse(readFileSync(nested, 'utf8'))).toMatchObject({ version: '1.0.0' });
    expect(JSON.parse(readFileSync(join(folder, 'apps/tea/package.json'), 'utf8'))).toMatchObject({
      jogakbo: { owner: 'kitchen' },
    });
  });

  it('keeps its build and its packages while those of the workspace change', () => {
    importPackages('pg');
    const first = write();
    rmSync(join(workspace.root, 'node_modules/pg'), { recursive: true });
    workspace.addPackage('node_modules/pg', '8.0.1', { dependencies: { 'pg-types': '2.0.0' } });
    workspace.write('apps/tea/src/main.ts', 'export default 2;\n');
    importPackages('pg', 'zod');
    const second = write();
    expect(run(first)).toBe('8.0.0');
    expect(run(second)).toBe('8.0.1 4.0.0');
  });

  it('is written once, and shares its packages with other services', () => {
    const folder = write();
    const { ino } = statSync(join(folder, 'apps/tea/dist/main.js'));
    expect(write()).toBe(folder);
    expect(statSync(join(folder, 'apps/tea/dist/main.js')).ino).toBe(ino);
    workspace.build('coffee');
    const other = write('coffee');
    const [mine, theirs] = [folder, other].map((one) => statSync(join(one, 'node_modules')).ino);
    expect(theirs).toBe(mine);
  });

  it('is removed when it is not needed, with its packages after a week', () => {
    const old = write();
    workspace.addPackage('node_modules/zod', '4.0.1');
    const current = write();
    const keep = readArtefact(current)!.version;
    expect(listLightArtefacts(artefacts).map(({ version }) => version)).toContain(keep);
    const remove = () => removeLightArtefacts(workspace.root, artefacts, ({ version }) => version === keep);
    const oldPackages = readPackagesFolder(old);
    remove();
    expect([old, current, oldPackages].map(existsSync)).toEqual([false, true, true]);
    for (const folder of [oldPackages, readPackagesFolder(current)]) utimesSync(folder, 0, 0);
    remove();
    expect(existsSync(oldPackages)).toBe(false);
    expect(readFileSync(join(current, 'node_modules/zod/index.js'), 'utf8')).toContain('4.0.1');
  });
});

const readPackagesFolder = (artefact: string): string =>
  dirname(readlinkSync(join(artefact, 'node_modules')));
