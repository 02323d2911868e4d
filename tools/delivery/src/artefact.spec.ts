import { existsSync, globSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { readArtefact, writeArtefact } from './artefact.ts';
import { WorkspaceContents } from './content.ts';
import { SampleWorkspace } from './sample-workspace.ts';

let workspace: SampleWorkspace;
let target: string;

beforeEach(() => {
  workspace = new SampleWorkspace();
  workspace.build('tea');
  target = join(workspace.root, 'dist/tea');
});
afterEach(() => rmSync(workspace.root, { recursive: true }));

const write = (service = 'tea', folder = target) =>
  writeArtefact(new WorkspaceContents(workspace.root), service, folder);

function catchError(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

/** Every file of a folder with its mode and its contents. */
function list(folder: string): Record<string, string> {
  const files = globSync('**/*', { cwd: folder, withFileTypes: true }).filter((one) => one.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name)).sort();
  const describeFile = (path: string) =>
    `${statSync(path).mode.toString(8)} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), describeFile(path)]));
}

describe('an artefact', () => {
  it('contains the build and the packages of the service, and says what it is', () => {
    const { version, hash, parts } = new WorkspaceContents(workspace.root).readService('tea');
    expect(write()).toEqual({
      ...{ service: 'tea', version, hash, parts },
      dependencies: ['pg-types@2.0.0', 'pg@8.0.0', 'zod@4.0.0'],
    });
    expect(readArtefact(target)).toMatchObject({ service: 'tea', version, hash });
    expect(Object.keys(list(target))).toEqual([
      ...['bus.json', 'contract.json', 'main.js', 'main.js.map', 'source-maps.js'].map(
        (name) => `apps/tea/dist/${name}`,
      ),
      ...['apps/tea/package.json', 'artefact.json', 'bom.json'],
      ...['pg-types', 'pg', 'zod'].flatMap((name) =>
        ['index.js', 'package.json'].map((file) => `node_modules/${name}/${file}`),
      ),
    ]);
  });

  it('is the same for the same content, in another folder as well', () => {
    write();
    const first = list(target);
    write();
    expect(list(target)).toEqual(first);
    const other = join(workspace.root, 'elsewhere/tea');
    write('tea', other);
    expect(list(other)).toEqual(first);
  });

  it.each([
    ...['.env', 'apps/tea/.env', 'apps/tea/src/.env', 'apps/tea/dist/.env', 'apps/tea/dist/server.key'],
    ...['apps/tea/notes.txt', 'node_modules/zod/.env', 'node_modules/.env', 'node_modules/jest/index.js'],
    ...['apps/tea/node_modules/left-over/index.js', 'libs/cup/.npmrc', 'secrets.json'],
  ])('contains no %s', (path) => {
    write();
    const before = list(target);
    workspace.write(path, 'SECRET');
    write();
    expect(list(target)).toEqual(before);
  });

  it('leaves out declarations, source maps and texts, but not the licence', () => {
    for (const name of ['index.d.ts', 'index.js.map', 'README.md', 'CHANGELOG.md', 'LICENSE', 'lib.es5.d.ts'])
      workspace.write(`node_modules/zod/${name}`, '');
    write();
    const names = globSync('*', { cwd: join(target, 'node_modules/zod') }).sort();
    expect(names).toEqual(['LICENSE', 'index.js', 'lib.es5.d.ts', 'package.json']);
  });

  it('contains nested packages in their places', () => {
    workspace.addPackage('libs/cup/node_modules/zod', '3.0.0');
    expect(write().dependencies).toContain('zod@3.0.0');
    expect(readFileSync(join(target, 'libs/cup/node_modules/zod/index.js'), 'utf8')).toContain('3.0.0');
    expect(readFileSync(join(target, 'node_modules/zod/index.js'), 'utf8')).toContain('4.0.0');
  });

  it('contains the packages of this platform only', () => {
    const packages = {
      right: { os: [process.platform], cpu: [process.arch] },
      wrong: { os: ['aix'] },
      excluded: { cpu: [`!${process.arch}`] },
    };
    for (const [name, platform] of Object.entries(packages))
      workspace.addPackage(`node_modules/${name}`, '1.0.0', platform);
    const optionalDependencies = { right: '1.0.0', wrong: '1.0.0', excluded: '1.0.0' };
    workspace.addPackage('node_modules/pg-types', '2.0.0', { optionalDependencies });
    write();
    const placed = globSync('*', { cwd: join(target, 'node_modules') }).sort();
    expect(placed).toEqual(['pg', 'pg-types', 'right', 'zod']);
  });

  it('is refused if the service is not built', () => {
    expect(() => write('coffee')).toThrow('coffee is not built.');
    expect(existsSync(join(workspace.root, 'dist'))).toBe(false);
  });

  it('is refused if a package is missing or in another version, and an older one stays', () => {
    write();
    const before = list(target);
    workspace.write('node_modules/zod/package.json', '{"version": "4.0.1"}');
    rmSync(join(workspace.root, 'node_modules/pg'), { recursive: true });
    expect(catchError(write)).toMatchObject({
      message: 'The installed packages are not those of package-lock.json.',
      details: ['node_modules/pg is missing', 'node_modules/zod is 4.0.1, package-lock.json has 4.0.0'],
    });
    expect(list(target)).toEqual(before);
    expect(globSync('*', { cwd: join(workspace.root, 'dist') })).toEqual(['tea']);
  });

  it('replaces no folder that is no artefact', () => {
    workspace.write('dist/tea/notes.txt', 'mine');
    expect(() => write()).toThrow(`${target} exists and is not the artefact of a service.`);
    expect(workspace.read('dist/tea/notes.txt')).toBe('mine');
  });
});

/** Validates against the official schema, which the library contains. */
function createBomValidator() {
  const library = dirname(
    createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json'),
  );
  const readSchema = (name: string) =>
    JSON.parse(readFileSync(join(library, `res/schema/${name}.SNAPSHOT.schema.json`), 'utf8')) as object;
  const schemas = Object.fromEntries(
    ['spdx', 'jsf-0.82'].map((name) => [
      `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`,
      readSchema(name),
    ]),
  );
  const ajv = new Ajv({ strict: false, addUsedSchema: false, schemas });
  addFormats.default(ajv);
  for (const name of ['iri-reference', 'idn-email']) ajv.addFormat(name, true);
  return ajv.compile(readSchema('bom-1.6'));
}

describe('bom.json', () => {
  it('is valid CycloneDX 1.6, with the packages, their hashes and what they depend on', () => {
    write();
    const text = readFileSync(join(target, 'bom.json'), 'utf8');
    const bom = JSON.parse(text);
    const validate = createBomValidator();
    expect([validate(bom), validate.errors]).toEqual([true, null]);
    expect(validate(JSON.parse(text.replace('"library"', '"libary"')))).toBe(false);
    expect(bom).not.toHaveProperty('serialNumber');
    expect(bom.metadata).not.toHaveProperty('timestamp');
    expect(bom.metadata.component).toMatchObject({ name: 'tea', type: 'application' });
    expect(bom.components.map(({ purl }: { purl: string }) => purl)).toEqual([
      ...['pkg:npm/pg@8.0.0', 'pkg:npm/pg-types@2.0.0', 'pkg:npm/zod@4.0.0'],
    ]);
    expect(bom.components[0]).toMatchObject({
      licenses: [{ license: { id: 'MIT' } }],
      hashes: [
        { alg: 'SHA-512', content: createHash('sha512').update('node_modules/pg 8.0.0').digest('hex') },
      ],
    });
    expect(bom.dependencies).toContainEqual({ ref: 'node_modules/pg', dependsOn: ['node_modules/pg-types'] });
    expect(bom.dependencies).toContainEqual({
      ref: 'tea',
      dependsOn: ['node_modules/pg', 'node_modules/zod'],
    });
  });
});
