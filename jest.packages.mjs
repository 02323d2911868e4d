// Jest loads every file of a package anew for every test file: Nest, TypeORM and zod alone are 2,500. One bundle with the
// largest packages takes a quarter of that time. The end-to-end tests run the packages themselves.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const largest = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/microservices',
  '@nestjs/platform-fastify',
  '@nestjs/terminus',
  'amqplib',
  'cockatiel',
  'fastify',
  'jose',
  'pg',
  'pino',
  'prom-client',
  'rxjs',
  'typeorm',
  'undici',
  'zod',
];
const root = import.meta.dirname;
/** A workspace without some of the services lacks their packages. */
const packages = largest.filter((name) => existsSync(join(root, 'node_modules', name)));

/** Makes the bundle, unless it exists for this package-lock.json. @returns the option `moduleNameMapper` of Jest */
export async function bundlePackages() {
  const hash = createHash('sha256');
  for (const file of ['package-lock.json', 'jest.packages.mjs']) hash.update(readFileSync(join(root, file)));
  const folder = join(root, 'node_modules', '.cache', 'test-packages', hash.digest('hex').slice(0, 16));
  if (!existsSync(folder)) await bundle(folder);
  return Object.fromEntries(packages.map((name) => [`^${name}$`, join(folder, `${toFileName(name)}.mjs`)]));
}

const toFileName = (name) => name.replace('/', '-');

async function bundle(folder) {
  const { build } = await import('esbuild');
  const made = `${folder}.${process.pid}`;
  const exported = new Map();
  for (const name of packages) exported.set(name, Object.keys(await import(name)));
  await build({
    entryPoints: Object.fromEntries(packages.map((name) => [toFileName(name), `entry:${name}`])),
    outdir: made,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // One instance of each package, whichever entry loads it.
    splitting: true,
    format: 'esm',
    platform: 'node',
    keepNames: true,
    logLevel: 'error',
    // Some packages say that they have no side effects, and have some.
    ignoreAnnotations: true,
    banner: {
      js: [
        `import { createRequire as createRequireOfBundle } from 'node:module';`,
        'const require = createRequireOfBundle(import.meta.url);',
        'const { filename: __filename, dirname: __dirname } = import.meta;',
      ].join('\n'),
    },
    plugins: [{ name: 'entries', setup: (plugin) => setUp(plugin, exported) }],
  });
  try {
    renameSync(made, folder);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    // Else another process was faster.
    if (!existsSync(folder)) throw error;
  }
}

function setUp(plugin, exported) {
  plugin.onResolve({ filter: /^entry:/ }, ({ path }) => ({
    path: path.slice('entry:'.length),
    namespace: 'entry',
  }));
  plugin.onLoad({ filter: /.*/, namespace: 'entry' }, ({ path }) => ({
    resolveDir: root,
    contents: writeEntry(path, exported.get(path)),
  }));
  // Extends a global object, so that only its own loading counts.
  plugin.onResolve({ filter: /^reflect-metadata$/ }, ({ path }) => ({ path, external: true }));
  // Optional packages that are not installed: the code that needs them never runs.
  plugin.onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...from }) => {
    if (pluginData === 'resolving' || path.startsWith('node:')) return undefined;
    const found = await plugin.resolve(path, { ...from, pluginData: 'resolving' });
    return found.errors.length > 0 ? { path, external: true } : found;
  });
}

/** Exports the names that Node finds: also those of CommonJS packages, which the bundle has as a whole only. */
function writeEntry(name, names) {
  const own = names.filter((one) => /^[A-Za-z_$][\w$]*$/.test(one) && one !== 'default');
  return [
    `import * as all from ${JSON.stringify(name)};`,
    ...(names.includes('default') ? ['export default all.default;'] : []),
    ...own.map((one, index) => `const export${index} = all.${one} ?? all['default']?.${one};`),
    `export { ${own.map((one, index) => `export${index} as ${one}`).join(', ')} };`,
  ].join('\n');
}
