import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { LockEntry } from './lock-file.ts';

type Json = Record<string, unknown>;

/**
 * A small workspace for tests, in a new temporary folder. The apps `tea` and `coffee` use the library `cup`; `tea` owns
 * a contract that `coffee` uses as well, and `coffee` one that no other app uses.
 */
export class SampleWorkspace {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'jogakbo-sample-')));
  readonly #lock: Record<string, LockEntry> = { '': { name: 'sample', version: '1.0.0' } };

  constructor() {
    this.addPackage('node_modules/zod', '4.0.0');
    this.addPackage('node_modules/pg', '8.0.0', { dependencies: { 'pg-types': '2.0.0' } });
    this.addPackage('node_modules/pg-types', '2.0.0');
    this.addMember('libs/cup', { dependencies: { zod: '4.0.0' } });
    this.addMember('libs/contracts/tea', { dependencies: { zod: '4.0.0' } });
    this.addMember('libs/contracts/coffee', { dependencies: { zod: '4.0.0' } });
    const main = 'dist/main.js';
    const shared = { '@jogakbo/cup': '1.0.0', '@jogakbo/contracts-tea': '1.0.0' };
    this.addMember('apps/tea', { main, dependencies: { ...shared, pg: '8.0.0' } });
    this.addMember('apps/coffee', {
      main,
      dependencies: { ...shared, '@jogakbo/contracts-coffee': '1.0.0' },
    });
    this.write('apps/tea/migrations/1-leaves.ts', 'export class Leaves {}\n');
    this.write('tsconfig.base.json', '{}\n');
    this.write('tools/delivery/src/bundle.ts', 'export {};\n');
    this.write('deploy/Dockerfile', 'FROM scratch\n');
  }

  read = (file: string): string => readFileSync(join(this.root, file), 'utf8');

  /** Writes a new file, as npm and the build do, so that hard links to an older one keep its text. */
  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.root, file)), { recursive: true });
    rmSync(join(this.root, file), { force: true });
    writeFileSync(join(this.root, file), text);
  }

  /** Adds a package of the workspace: its package.json, a source and its entries in package-lock.json. */
  addMember(folder: string, manifest: Json): void {
    const name = `@jogakbo/${folder.replace(/^(libs|apps)\//, '').replaceAll('/', '-')}`;
    this.write(`${folder}/src/main.ts`, `export const name: string = '${folder}';\n`);
    this.#lock[`node_modules/${name}`] = { resolved: folder, link: true };
    this.changeManifest(folder, { name, version: '1.0.0', type: 'module', ...manifest });
  }

  /** Changes fields of a package.json, and of the lock file as `npm install` does. */
  changeManifest(folder: string, fields: Json): void {
    const file = `${folder}/package.json`;
    const before = this.#lock[folder] ? (JSON.parse(this.read(file)) as Json) : {};
    this.write(file, JSON.stringify({ ...before, ...fields }));
    this.#lock[folder] = { ...before, ...fields } as LockEntry;
    this.writeLock();
  }

  /** Adds a third-party package to the lock file and to node_modules, or changes it. */
  addPackage(path: string, version: string, entry: LockEntry = {}): void {
    const integrity = `sha512-${createHash('sha512').update(`${path} ${version}`).digest('base64')}`;
    this.#lock[path] = { version, integrity, license: 'MIT', ...entry };
    this.write(`${path}/package.json`, JSON.stringify({ version, type: 'module', exports: './index.js' }));
    this.write(`${path}/index.js`, `export const version = '${version}';\n`);
    this.writeLock();
  }

  /** Writes what the build of an app writes. */
  build(service: string): void {
    for (const name of ['main.js', 'main.js.map', 'source-maps.js', 'bus.json', 'contract.json'])
      this.write(`apps/${service}/dist/${name}`, `// ${name}\n`);
  }

  writeLock(): void {
    this.write('package-lock.json', JSON.stringify({ lockfileVersion: 3, packages: this.#lock }));
  }
}
