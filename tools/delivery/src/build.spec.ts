import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const builder = join(import.meta.dirname, 'build.ts');
let folder: string;
let watching: ChildProcess | undefined;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'jogakbo-build-')));
  mkdirSync(join(folder, 'apps/one/src'), { recursive: true });
  write('one');
});
afterEach(() => {
  watching?.kill('SIGKILL');
  watching = undefined;
  rmSync(folder, { recursive: true });
});

const put = (file: string, text: string) => writeFileSync(join(folder, 'apps/one/src', file), text);
/** Writes an app that describes its name as its bus description and its contract. */
function write(name: string): void {
  put(
    'main.ts',
    `import { name } from './name.ts';\nconsole.log(JSON.stringify({ bus: { name }, contract: { title: name } }));\n`,
  );
  put('name.ts', `export const name: string = '${name}';\n`);
}
const build = () =>
  spawnSync(process.execPath, [builder, 'apps/one'], { cwd: folder, encoding: 'utf8', timeout: 30_000 });

describe('a build', () => {
  it('writes what the app does on the bus, and its contract', () => {
    expect(build()).toMatchObject({ status: 0, stderr: '' });
    const read = (file: string) => JSON.parse(readFileSync(join(folder, 'apps/one/dist', file), 'utf8'));
    expect(read('bus.json')).toEqual({ name: 'one' });
    expect(read('contract.json')).toEqual({ title: 'one' });
  });

  it('imports the versions of packages that the app and its library have', () => {
    const versions = { 'node_modules/pack': 1, 'libs/two/node_modules/pack': 2 };
    for (const [path, version] of Object.entries(versions)) {
      mkdirSync(join(folder, path), { recursive: true });
      writeFileSync(join(folder, path, 'package.json'), '{"type": "module", "exports": "./main.js"}');
      writeFileSync(join(folder, path, 'main.js'), `export const version = ${version};`);
    }
    mkdirSync(join(folder, 'node_modules/@jogakbo'));
    symlinkSync('../../libs/two', join(folder, 'node_modules/@jogakbo/two'));
    writeFileSync(join(folder, 'libs/two/package.json'), '{"type": "module", "exports": "./index.ts"}');
    writeFileSync(join(folder, 'libs/two/index.ts'), `export { version as two } from 'pack';`);
    put(
      'name.ts',
      `import { version } from 'pack';\nimport { two } from '@jogakbo/two';\nexport const name = [version, two];\n`,
    );
    expect(build()).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(readFileSync(join(folder, 'apps/one/dist/bus.json'), 'utf8'))).toEqual({
      name: [1, 2],
    });
    // The bundle is the same in a copy of the workspace whose packages are links to this one.
    const bundle = readFileSync(join(folder, 'apps/one/dist/main.js'), 'utf8');
    renameSync(join(folder, 'libs/two/node_modules'), join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'libs/two/node_modules'));
    expect(build()).toMatchObject({ status: 0 });
    expect(readFileSync(join(folder, 'apps/one/dist/main.js'), 'utf8')).toBe(bundle);
  });

  it('has stack traces that name the sources', () => {
    put(
      'name.ts',
      `interface Name {\n  text: string;\n}\nexport const name: Name = { text: stack() };\nfunction stack(): string {\n  return new Error().stack!;\n}\n`,
    );
    expect(build()).toMatchObject({ status: 0 });
    const args = ['--import=./apps/one/dist/source-maps.js', 'apps/one/dist/main.js'];
    const { stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect(JSON.parse(stdout).bus.name.text).toContain('apps/one/src/name.ts:6:10');
  });

  it.each([
    [
      'a plain file',
      `export const name = 'one';\nlet = 5 +;\n`,
      /^apps\/one\/src\/name\.ts:2: Unexpected ";"\n$/,
    ],
    [
      'a file with decorators',
      `export const name = 'one';\n@Injectable()\nclass A {\n  foo( { const a = ;\n}\n`,
      /^apps\/one\/src\/name\.ts:4: Cannot use a reserved word .+\n$/,
    ],
    [
      'an import that is not there',
      `export { name } from './nowhere.ts';\n`,
      /^apps\/one\/src\/name\.ts:1: .+\n$/,
    ],
    [
      'a package that is not installed',
      `import 'surely-not-installed';\nexport const name = 'one';\n`,
      /^apps\/one: the package surely-not-installed is not installed: npm install\n$/,
    ],
  ])('prints only file, line and message for %s', (_what, text, line) => {
    put('name.ts', text);
    expect(build()).toEqual(
      expect.objectContaining({ status: 1, stdout: '', stderr: expect.stringMatching(line) }),
    );
  });
});

describe('the access policies of a build', () => {
  const writeAccess = (access: string) =>
    put(
      'name.ts',
      `const offered = { routes: ['POST /v1/teas'], access: '${access}' };
export const name: object[] = [{ name: 'tea.brew-tea', kind: 'command', offered }];\n`,
    );
  beforeEach(() => {
    const facts = { name: 'teas', languages: ['fr'], roles: ['taster', 'grower'] };
    writeFileSync(join(folder, 'jogakbo.config.ts'), `export default ${JSON.stringify(facts)};\n`);
    put(
      'main.ts',
      `import { name } from './name.ts';\nconsole.log(JSON.stringify({ bus: { service: 'tea', contracts: name }, contract: {} }));\n`,
    );
  });

  it.each(['public', 'member', 'owner', 'operator', 'taster'])('can be %s', (access) => {
    writeAccess(access);
    expect(build()).toMatchObject({ status: 0, stderr: '' });
  });

  it('cannot be a role that jogakbo.config.ts does not declare', () => {
    writeAccess('tester');
    expect(build()).toMatchObject({
      ...{ status: 1, stdout: '' },
      stderr:
        'apps/one: tea.brew-tea (POST /v1/teas): access "tester" is neither one of public, member, owner, operator ' +
        'nor a role of jogakbo.config.ts (taster, grower)\n',
    });
  });
});

describe('a build that watches', () => {
  it('rebuilds after a change, also after an error, and reports a changed bus description', async () => {
    const child = spawn(process.execPath, [builder, 'apps/one', '--watch'], { cwd: folder });
    watching = child;
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    const lines = async (count: number) => {
      for (let tries = 0; tries < 500; tries += 1) {
        const found = output.split('\n').slice(0, -1);
        if (found.length >= count) return found.map((line) => line.replace(/\d+ ms/, 'N ms'));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`only ${output}`);
    };
    expect(await lines(1)).toEqual(['built apps/one in N ms']);
    const began = Date.now();
    put('name.ts', `export const name: string = 'on' + 'e';\n`);
    expect(await lines(2)).toHaveLength(2);
    // esbuild's own watch takes up to two seconds to see a change.
    expect(Date.now() - began).toBeLessThan(1_000);
    put('name.ts', `export const name = ;\n`);
    expect((await lines(3))[2]).toBe('apps/one/src/name.ts:1: Unexpected ";"');
    write('two');
    expect((await lines(5)).slice(3)).toEqual(['built apps/one in N ms', 'described apps/one']);
    child.stdin.end();
    await new Promise((resolve) => child.on('close', resolve));
  }, 30_000);
});
