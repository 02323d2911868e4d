import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { readContents } from './content.ts';

interface Ignore {
  add(patterns: string): Ignore;
  ignores(path: string): boolean;
}

const root = join(import.meta.dirname, '..', '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
// Its types describe a default export, which does not exist in Node's ESM.
const dockerignore = createRequire(import.meta.url)('@balena/dockerignore') as () => Ignore;
const ignored = dockerignore().add(read('.dockerignore'));
const context = (paths: string[]) => paths.filter((path) => !ignored.ignores(path));

/** Lists all files of the workspace, except in large folders that are never part of the context. */
function listFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (!entry.isDirectory()) return [path];
    return ['node_modules', '.git', '.nx', '.jogakbo'].includes(entry.name) ? [] : listFiles(path);
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
      'apps/identity/.env',
      'apps/identity/notes.txt',
    ],
    ...[
      'apps/identity/src/.env',
      'apps/identity/src/.ssh/id_rsa',
      'apps/identity/src/server.key',
      'libs/.npmrc',
    ],
    ...[
      'libs/contracts/identity/src/tls/server.pem',
      'tools/cli/.jogakbo/secrets.json',
      'tools/cli/dump.sql',
    ],
    ...['node_modules/a/index.js', 'apps/config/node_modules/yaml/index.js', 'apps/identity/dist/main.js'],
  ])('does not contain %s', (path) => expect(context([path])).toEqual([]));

  it('contains the sources of the images, and no other kind of file', () => {
    const files = context(listFiles('.'));
    for (const workspace of ['apps/identity', 'libs/service', 'libs/contracts/identity', 'tools/cli'])
      expect(files).toEqual(expect.arrayContaining([`${workspace}/package.json`]));
    for (const file of ['package-lock.json', 'apps/identity/src/main.ts', 'tools/delivery/src/build.ts'])
      expect(files).toContain(file);
    expect(files.filter((path) => !/\.(ts|tsx|mjs|json|html|css|svg|js)$/.test(path))).toEqual([
      'deploy/Dockerfile',
    ]);
  });

  it('gives every service the content that it has in the workspace', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jogakbo-context-'));
    try {
      for (const path of context(listFiles('.'))) cpSync(join(root, path), join(folder, path));
      expect(await readContents(folder)).toEqual(await readContents(root));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is copied by an explicit list of names', () => {
    const sources = [...read('deploy/Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
    const known = [
      'package.json',
      'package-lock.json',
      'nx.json',
      'tsconfig.base.json',
      'jogakbo.config.ts',
      'apps',
      'libs',
      'tools',
      'deploy',
    ];
    expect(sources.flatMap(([, names]) => names!.split(' ')).sort()).toEqual(known.sort());
  });

  it('contains every project that the images build', () => {
    const dockerfile = read('deploy/Dockerfile');
    const commands = [...dockerfile.matchAll(/nx run-many -t build(.*)$/gm)].map(([, options]) => options);
    // Other projects with a build, such as the sample of a new workspace, are not in the context.
    expect(commands).toEqual([" -p 'apps/*'"]);
  });
});

describe('third-party images', () => {
  it('have a digest where services are built on them', () =>
    expect(read('deploy/Dockerfile')).toMatch(/^ARG BASE=node:24\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}$/m));

  it.each(['docker-compose.yml', 'deploy/Dockerfile', 'tools/cli/src/backing/rabbitmq/docker-broker.ts'])(
    'have an exact version in %s',
    (file) => {
      const images = [...read(file).matchAll(/^(?: *image: |ARG BASE=|export const image = ')([^\s']+)/gm)];
      expect(images.length).toBeGreaterThan(0);
      for (const [, image] of images)
        expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-[\w.-]+)?(@sha256:[0-9a-f]{64})?$/);
    },
  );
});
