import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { listServices } from './content.ts';
import { type LockEntry, LockFile } from './lock-file.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const list = (entries: Record<string, LockEntry>) => [
  ...new LockFile(entries).resolveProduction('apps/tea').packages.keys(),
];
const version = '1.0.0';

describe('the packages of a service', () => {
  it('are resolved as Node does: the nearest node_modules first', () => {
    const entries: Record<string, LockEntry> = {
      'apps/tea': { dependencies: { a: '1', b: '1', '@scope/c': '1' } },
      'apps/tea/node_modules/a': { version, dependencies: { d: '2' } },
      'apps/tea/node_modules/d': { version },
      'node_modules/a': { version, dependencies: { e: '1' } },
      'node_modules/b': { version, dependencies: { d: '1' } },
      'node_modules/b/node_modules/d': { version, dependencies: { f: '1' } },
      'node_modules/d': { version },
      'node_modules/f': { version },
      'node_modules/@scope/c': { version, dependencies: { d: '3' } },
    };
    expect(list(entries)).toEqual([
      ...['apps/tea/node_modules/a', 'apps/tea/node_modules/d', 'node_modules/@scope/c', 'node_modules/b'],
      ...['node_modules/b/node_modules/d', 'node_modules/d', 'node_modules/f'],
    ]);
  });

  it('contain those of the libraries, from the places of the libraries', () => {
    const lock = new LockFile({
      'apps/tea': { dependencies: { '@jogakbo/cup': '1' } },
      'node_modules/@jogakbo/cup': { link: true, resolved: 'libs/cup' },
      'libs/cup': { dependencies: { a: '1' }, optionalDependencies: {} },
      'libs/cup/node_modules/a': { version },
      'node_modules/a': { version },
    });
    const { folders, packages, declared } = lock.resolveProduction('apps/tea');
    expect(folders).toEqual(['apps/tea', 'libs/cup']);
    expect([...packages.keys()]).toEqual(['libs/cup/node_modules/a']);
    expect(Object.fromEntries(declared)).toEqual({ 'apps/tea': [], 'libs/cup': ['libs/cup/node_modules/a'] });
  });

  it('contain required peers, and optional dependencies with their platform', () => {
    const entries: Record<string, LockEntry> = {
      'apps/tea': { dependencies: { a: '1' } },
      'node_modules/a': {
        version,
        peerDependencies: { b: '*', c: '*', d: '*' },
        peerDependenciesMeta: { c: { optional: true }, d: { optional: true } },
        optionalDependencies: { 'a-linux': '1', 'a-gone': '1' },
      },
      'node_modules/a-linux': { version, os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
      'node_modules/b': { version, dependencies: { d: '1' } },
      'node_modules/c': { version },
      'node_modules/d': { version },
    };
    expect(list(entries)).toEqual([
      'node_modules/a',
      'node_modules/a-linux',
      'node_modules/b',
      'node_modules/d',
    ]);
    const { packages } = new LockFile(entries).resolveProduction('apps/tea');
    expect(packages.get('node_modules/a-linux')!.platform).toEqual({
      ...{ os: ['linux'], cpu: ['x64'], libc: ['glibc'] },
    });
    // `c` is installed for another package only, `d` for `b`.
    expect(packages.get('node_modules/a')!.dependencies).toEqual([
      ...['node_modules/a-linux', 'node_modules/b', 'node_modules/d'],
    ]);
  });

  it('may depend on each other in a circle', () => {
    const a = { version, dependencies: { b: '1' } };
    const b = { version, dependencies: { a: '1' } };
    expect(
      list({ 'apps/tea': { dependencies: { a: '1' } }, 'node_modules/a': a, 'node_modules/b': b }),
    ).toEqual(['node_modules/a', 'node_modules/b']);
  });

  it('are refused if one of them is not in the lock file', () => {
    const entries = {
      'apps/tea': { dependencies: { a: '1' } },
      'node_modules/a': { version, dependencies: { b: '1' } },
    };
    expect(() => list(entries)).toThrow('package-lock.json has no b, which node_modules/a needs.');
    expect(() => new LockFile({}).resolveProduction('apps/tea')).toThrow(
      'package-lock.json has no apps/tea.',
    );
  });
});

describe('package-lock.json of this workspace', () => {
  interface Listed {
    version?: string;
    dependencies?: Record<string, Listed>;
  }
  const lock = LockFile.read(root);
  const service = listServices(root)[0]!;
  const { packages } = lock.resolveProduction(`apps/${service}`);
  const own = new Set([...packages.values()].map(({ name, version }) => `${name}@${version}`));

  /** The packages that npm lists, with those that depend on them. */
  function listByNpm(): Map<string, Set<string>> {
    const args = [
      'ls',
      '--all',
      '--omit=dev',
      '--json',
      '--package-lock-only',
      `--workspace=@jogakbo/${service}`,
    ];
    const { stdout } = spawnSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 1e8 });
    const dependents = new Map<string, Set<string>>();
    function visit(parent: string, { dependencies = {} }: Listed): void {
      for (const [name, one] of Object.entries(dependencies)) {
        const id = `${name}@${one.version}`;
        if (one.version && !name.startsWith('@jogakbo/'))
          dependents.set(id, (dependents.get(id) ?? new Set()).add(parent));
        visit(id, one);
      }
    }
    visit('', JSON.parse(stdout) as Listed);
    return dependents;
  }

  it('gives the packages that npm lists, without those that are only optional peers', () => {
    const npm = listByNpm();
    expect([...own].filter((id) => !npm.has(id))).toEqual([]);
    const surplus = [...npm.keys()].filter((id) => !own.has(id));
    const entries = [...packages.values()];
    for (const id of surplus) {
      const name = id.slice(0, id.lastIndexOf('@'));
      for (const dependent of npm.get(id)!) {
        const { path } = entries.find((one) => `${one.name}@${one.version}` === dependent) ?? {};
        // A package behind an optional peer.
        if (!path) continue;
        expect([id, lock.getEntry(path)!.peerDependenciesMeta?.[name]]).toEqual([id, { optional: true }]);
      }
    }
  }, 60_000);
});
