import { spawnSync } from 'node:child_process';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '..', '..', '..');
const program = join(import.meta.dirname, 'package-library.ts');
let folder: string;

function write(file: string, content: string | object): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), typeof content === 'string' ? content : JSON.stringify(content));
}
const read = (file: string) => readFileSync(join(folder, file), 'utf8');
const readManifest = (library: string) => JSON.parse(read(`libs/${library}/dist/package.json`)) as object;
const link = (name: string, target: string) => {
  mkdirSync(dirname(join(folder, 'node_modules', name)), { recursive: true });
  symlinkSync(target, join(folder, 'node_modules', name));
};
const writePackage = (library: string) =>
  spawnSync(process.execPath, [program, `libs/${library}`], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });

const kettle = {
  ...{ name: '@tea/kettle', version: '2.1.0', private: true, description: 'Boils.', type: 'module' },
  exports: { '.': './src/index.ts', './parts/lid': './src/parts/lid.ts' },
  dependencies: { rxjs: '7.8.2', pg: '8.23.1', cockatiel: '4.0.0' },
  devDependencies: { zod: '4.6.7', jose: '6.2.17' },
  peerDependenciesMeta: { jose: { optional: true } },
  nx: { name: 'kettle', targets: { test: {} } },
};

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'jogakbo-package-')));
  for (const name of [
    'typescript-native',
    '@typescript',
    '@types',
    'rxjs',
    'pg',
    'cockatiel',
    'zod',
    'tslib',
  ])
    if (existsSync(join(root, 'node_modules', name))) link(name, join(root, 'node_modules', name));
  link('@tea/kettle', join(folder, 'libs/kettle'));
  link('@tea/cup', join(folder, 'libs/cup'));
  write('tsconfig.base.json', readFileSync(join(root, 'tsconfig.base.json'), 'utf8'));
  write('LICENSE', 'MIT');
  write('libs/kettle/package.json', kettle);
  write('libs/kettle/README.md', '# kettle');
  write(
    'libs/kettle/src/index.ts',
    `import { readFileSync } from 'node:fs';
import { of, type Observable } from 'rxjs';
import type { Client } from 'pg';
import { retry } from 'cockatiel';
import { Lid } from './parts/lid.ts';
export const boil = (file: string): Observable<string> => of(readFileSync(file, 'utf8'), String(retry));
export const fill = (lid: Lid, client: Client): void => void [lid, client];\n`,
  );
  write(
    'libs/kettle/src/parts/lid.ts',
    `const mark = (of: object, key: string) => Reflect.get(globalThis, 'seen')?.(of, key);
export class Water {}
export class Lid {
  @mark
  close(water: Water): void {
    void water;
  }
}
`,
  );
  write('libs/kettle/src/index.spec.ts', `import 'surely-not-installed';\n`);
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the package of a library', () => {
  it('has compiled modules, declarations and source maps, without tests', () => {
    write('libs/CHANGELOG.md', '## 2.1.0');
    expect(writePackage('kettle')).toMatchObject({ status: 0, stderr: '' });
    const files = globSync('**/*.*', { cwd: join(folder, 'libs/kettle/dist') }).sort();
    expect(files).toEqual([
      'CHANGELOG.md',
      'README.md',
      ...['index', 'parts/lid'].flatMap((name) =>
        ['.d.ts', '.js', '.js.map'].map((end) => `lib/${name}${end}`),
      ),
      'package.json',
    ]);
    expect(read('libs/kettle/dist/LICENSE')).toBe('MIT');
    for (const file of ['index.js', 'index.d.ts'])
      expect(read(`libs/kettle/dist/lib/${file}`)).not.toMatch(/lid\.ts'/);
    const { sourcesContent } = JSON.parse(read('libs/kettle/dist/lib/index.js.map'));
    expect(sourcesContent).toEqual([read('libs/kettle/src/index.ts')]);
    // Nest finds what to inject in the metadata of parameters.
    expect(read('libs/kettle/dist/lib/parts/lid.js')).toContain('__metadata("design:paramtypes", [Water])');
  });

  it('declares its entry points, the peers that an application has once, and the types that it mentions', () => {
    writePackage('kettle');
    expect(readManifest('kettle')).toEqual({
      ...{ name: '@tea/kettle', version: '2.1.0', description: 'Boils.', license: 'MIT', type: 'module' },
      engines: { node: '>=24' },
      exports: {
        '.': { types: './lib/index.d.ts', default: './lib/index.js' },
        './parts/lid': { types: './lib/parts/lid.d.ts', default: './lib/parts/lid.js' },
      },
      files: ['lib', 'CHANGELOG.md'],
      dependencies: {
        ...{ pg: '^8.23.1', cockatiel: '^4.0.0', '@types/node': '*' },
        '@types/pg': expect.stringMatching(/^\^8\./),
      },
      peerDependencies: { rxjs: '^7.8.2', jose: '^6.2.17' },
      peerDependenciesMeta: { jose: { optional: true } },
      publishConfig: { access: 'public' },
    });
  });

  it('is compiled against the packages of other libraries, and requires exactly their version', () => {
    write('libs/cup/README.md', '# cup');
    write('libs/cup/package.json', {
      ...{ name: '@tea/cup', version: '2.1.0', type: 'module', exports: { '.': './src/index.ts' } },
      dependencies: { '@tea/kettle': '*' },
    });
    const importLid = `import { Lid } from '@tea/kettle/parts/lid';\nexport const lid: Lid = new Lid();\n`;
    write('libs/cup/src/index.ts', importLid);
    expect(writePackage('cup')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^libs\/cup: .+index\.d\.ts is missing: npx nx run kettle:package\n$/),
    });
    writePackage('kettle');
    expect(writePackage('cup')).toMatchObject({ status: 0, stderr: '' });
    expect(readManifest('cup')).toMatchObject({ dependencies: { '@tea/kettle': '2.1.0' } });
  });
});

describe('a library that cannot be used elsewhere', () => {
  it('is refused if it imports what it does not declare, also only in its types', () => {
    const imported = `import type { ZodType } from 'zod';\nexport type Schema = ZodType;\n`;
    write('libs/kettle/src/parts/lid.ts', `${read('libs/kettle/src/parts/lid.ts')}${imported}`);
    expect(writePackage('kettle')).toMatchObject({
      status: 1,
      stderr: 'libs/kettle: add to "dependencies" of package.json, because it imports them: zod\n',
    });
  });

  it('is refused if it does not compile', () => {
    write('libs/kettle/src/parts/lid.ts', `export class Lid { size: number = 'wide'; }\n`);
    expect(writePackage('kettle')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^libs\/kettle: .*lid\.ts.*error TS2322/s),
    });
  });
});
