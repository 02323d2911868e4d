import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

interface Ignore {
  add(patterns: string): Ignore;
  ignores(path: string): boolean;
}

const root = join(import.meta.dirname, '..', '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
// Its types describe a default export, which is not there for Node's ESM.
const dockerignore = createRequire(import.meta.url)('@balena/dockerignore') as () => Ignore;
const ignored = dockerignore().add(read('.dockerignore'));
const context = (paths: string[]) => paths.filter((path) => !ignored.ignores(path));

/** Every file beneath the workspace but those of folders that are never read here, for their size. */
function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return ['node_modules', '.git', '.nx', '.jogakbo'].includes(entry.name) ? [] : filesOf(path);
  });
}

describe('the build context of the images', () => {
  it.each([
    ...['.env', '.env.production', '.npmrc', '.jogakbo/secrets.json', '.jogakbo/staff.json', '.git/config'],
    ...[
      'secrets.json',
      'dump.sql',
      'deploy/key.pem',
      'apps/.env',
      'apps/orders/.env',
      'apps/orders/notes.txt',
    ],
    ...['apps/orders/src/.env', 'apps/orders/src/.ssh/id_rsa', 'apps/orders/src/server.key', 'libs/.npmrc'],
    ...['libs/contracts/orders/src/tls/server.pem', 'tools/cli/.jogakbo/secrets.json', 'tools/cli/dump.sql'],
    ...['node_modules/a/index.js', 'apps/config/node_modules/yaml/index.js', 'apps/orders/dist/main.js'],
  ])('has no %s', (path) => expect(context([path])).toEqual([]));

  it('has what the images are built of, and no other kind of file', () => {
    const files = context(filesOf('.'));
    for (const workspace of ['apps/orders', 'libs/service', 'libs/contracts/orders', 'tools/cli'])
      expect(files).toEqual(expect.arrayContaining([`${workspace}/package.json`]));
    for (const file of ['package-lock.json', 'apps/orders/src/main.ts', 'tools/delivery/src/build.ts'])
      expect(files).toContain(file);
    expect(files.filter((path) => !/\.(ts|tsx|mjs|json|html|css|svg|js)$/.test(path))).toEqual([]);
  });

  it('is copied by name', () => {
    const sources = [...read('deploy/Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
    const known = [
      'package.json',
      'package-lock.json',
      'nx.json',
      'tsconfig.base.json',
      'apps',
      'libs',
      'tools',
    ];
    expect(sources.flatMap(([, names]) => names!.split(' ')).sort()).toEqual(known.sort());
  });
});

describe('the images of others', () => {
  it.each(['docker-compose.yml', 'deploy/Dockerfile', 'tools/cli/src/docker-broker.ts'])(
    'are of an exact version in %s',
    (file) => {
      const images = [...read(file).matchAll(/^(?: *image: |ARG BASE=|export const image = ')([^\s']+)/gm)];
      expect(images.length).toBeGreaterThan(0);
      for (const [, image] of images)
        expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?(@sha256:[0-9a-f]{64})?$/);
    },
  );
});

describe('compose-secrets.mjs', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jogakbo-compose-'));
    for (const app of readdirSync(join(root, 'apps')))
      cpSync(join(root, 'apps', app, 'package.json'), join(folder, 'apps', app, 'package.json'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const make = () =>
    spawnSync(process.execPath, [join(root, 'deploy/compose-secrets.mjs')], {
      cwd: folder,
      encoding: 'utf8',
    });
  const modes = () =>
    ['.env', '.jogakbo/staff.json', '.jogakbo'].map((path) =>
      (statSync(join(folder, path)).mode & 0o777).toString(8),
    );

  it('closes what it makes to others, under any umask, and keeps it', () => {
    expect(make()).toMatchObject({ status: 0, stderr: '' });
    expect(modes()).toEqual(['600', '600', '700']);
    const made = readFileSync(join(folder, '.env'), 'utf8');
    const staff = JSON.parse(readFileSync(join(folder, '.jogakbo/staff.json'), 'utf8'));
    expect(JSON.parse(/^STAFF='(.+)'$/m.exec(made)![1]!)).toEqual(staff);
    make();
    expect(readFileSync(join(folder, '.env'), 'utf8')).toBe(made);
  });

  it('closes what an earlier one left open', () => {
    make();
    for (const path of ['.env', '.jogakbo/staff.json']) chmodSync(join(folder, path), 0o644);
    make();
    expect(modes()).toEqual(['600', '600', '700']);
  });

  it('makes every value that docker-compose.yml asks for', () => {
    make();
    const made = readFileSync(join(folder, '.env'), 'utf8');
    const asked = [...read('docker-compose.yml').matchAll(/\$\{(\w+):\?[^}]*\}|environment: (\w+) \}/g)];
    const names = new Set(asked.map(([, variable, secret]) => (variable ?? secret)!));
    expect(names.size).toBeGreaterThan(20);
    expect([...names].filter((name) => !new RegExp(`^${name}=`, 'm').test(made))).toEqual([]);
  });
});

it('no file of this machine is open to a container as a secret', () => {
  expect(read('docker-compose.yml')).not.toMatch(/\.jogakbo/);
});
