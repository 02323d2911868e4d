import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { listStoreWords } from '../test/store-words.ts';
import { repository } from './create-workspace.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jogakbo-create-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs `npm run create` with these arguments, in a folder of its own. */
function runCreate(...args: string[]): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(repository, 'tools/create/src/main.ts'), ...args],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, INIT_CWD: folder } },
  );
  return { code: status, output: stdout + stderr };
}

describe('npm run create', () => {
  it('prints its help', () => {
    const { code, output } = runCreate('--help');
    expect([code, output]).toEqual([0, expect.stringContaining('usage: npm run create')]);
  });

  it.each([
    [[], 'no folder was given'],
    [['a', 'b'], 'one folder is expected'],
    [['full'], 'is not empty (it has a-file)'],
    [['full/a-file'], 'is a file, not a folder'],
    [['My_Product'], '"My_Product" cannot be the name'],
    [['fine', '--name', 'x--y'], '"x--y" cannot be the name'],
    [[join(repository, 'inside')], 'is inside of this workspace'],
    [['fine', '--nonsense'], 'Unknown option'],
  ])('rejects %j', (args, reason) => {
    mkdirSync(join(folder, 'full'), { recursive: true });
    writeFileSync(join(folder, 'full', 'a-file'), '');
    const { code, output } = runCreate(...args);
    expect([code, output]).toEqual([2, expect.stringContaining(reason)]);
    expect(existsSync(join(folder, 'fine'))).toBe(false);
    expect(existsSync(join(repository, 'inside'))).toBe(false);
  });

  describe('makes a workspace', () => {
    let output: string;
    let files: string[];
    const read = (path: string) => readFileSync(join(folder, 'first', path), 'utf8');

    beforeAll(() => {
      const run = runCreate('first', '--name', 'garden', '--git');
      expect(run).toMatchObject({ code: 0 });
      ({ output } = run);
      const listed = spawnSync('git', ['ls-files'], { cwd: join(folder, 'first'), encoding: 'utf8' });
      files = listed.stdout.trim().split('\n');
    });

    it('and reports each step and what comes next', () => {
      expect(output).toMatch(/copied the platform: \d\d projects\ncopied the sample service: apps\/notes/);
      expect(output).toContain('Next:  cd first\n');
    });

    it('with the platform and the sample, under its name', () => {
      for (const path of ['apps/gateway', 'apps/registry', 'apps/config', 'apps/identity', 'apps/notes'])
        expect(files).toContain(`${path}/package.json`);
      for (const path of [
        'LICENSE',
        'README.md',
        'README.ko.md',
        'package-lock.json',
        'tsconfig.json',
        'docker-compose.yml',
        '.ci/run',
        '.gitignore',
      ])
        expect(files).toContain(path);
      expect(JSON.parse(read('package.json'))).toMatchObject({ name: 'garden' });
      expect(read('README.md')).toMatch(/^# garden\n/);
      expect(read('jogakbo.config.ts')).toContain("name: 'garden'");
    });

    it('whose documents link to files that exist', () => {
      const links = [
        'README.md',
        'README.ko.md',
        'CONTRIBUTING.md',
        'docs/glossary.md',
        'docs/map/README.md',
      ].flatMap((path) =>
        [...read(path).matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => join(path, '..', link!)),
      );
      expect(links).toEqual(expect.arrayContaining(['docs/map/README.md', 'docs/map/map.svg']));
      expect(links.filter((path) => !existsSync(join(folder, 'first', path)))).toEqual([]);
    });

    it('whose map and compose file have the sample', () => {
      expect(read('docs/map/README.md')).toContain('notes["notes"]');
      expect(read('docker-compose.yml')).toMatch(/^name: garden$/m);
      expect(read('docker-compose.yml')).toContain('args: { SERVICE: notes, ');
    });

    it('whose Kubernetes objects are those of its own services', () => {
      const base = files.filter((path) => path.startsWith('deploy/kubernetes/base/'));
      expect(base).toContain('deploy/kubernetes/base/notes.yaml');
      expect(base).toHaveLength(2 + 5);
      expect(read('deploy/kubernetes/base/kustomization.yaml')).toContain('namespace: garden\n');
      expect(read('deploy/kubernetes/base/notes.yaml')).toContain('image: garden/notes:');
    });

    it('whose scripts exist', () => {
      const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
      for (const script of Object.values(scripts))
        for (const [path] of script.matchAll(/tools\/\S+/g)) expect(files).toContain(path);
    });

    it('with the versions of this workspace', () => {
      interface Lock {
        packages: Record<string, { version: string }>;
      }
      const { packages } = JSON.parse(read('package-lock.json')) as Lock;
      const own = (JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as Lock).packages;
      const installed = Object.entries(packages).filter(([path]) => path.startsWith('node_modules/'));
      expect(installed.length).toBeGreaterThan(300);
      for (const [path, { version }] of installed)
        expect([path, version]).toEqual([path, own[path]?.version]);
    });

    it('and nothing of the store', () => {
      const texts = files.map((path) => [path, read(path)] as const);
      expect(texts.flatMap(([path, text]) => listStoreWords(path, text))).toEqual([]);
    });

    it('without generated files', () => {
      const generated = globSync('{apps,libs,tools}/**/{dist,node_modules}', { cwd: join(folder, 'first') });
      expect(generated).toEqual([]);
    });
  });
});
