// Writes the package of a library for use outside of this workspace: the folder that `npm pack` and `npm publish` read.
// Usage: node tools/delivery/src/package-library.ts libs/<name>
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { access, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { findImports, rewriteDeclarations } from './module-imports.ts';
import { createPublishedManifest, type Manifest } from './published-manifest.ts';

/** Folder of the compiled modules, in the package. */
const compiled = 'lib';

const readManifest = async (folder: string) =>
  JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as Manifest;

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

const toModulePath = (source: string, extension: string) =>
  `./${compiled}/${path.relative('src', source).replace(/\.ts$/, extension)}`;

/**
 * Finds the declarations of the libraries of this workspace that a library depends on, also through others.
 * @returns TypeScript's `paths`: the name of each entry point, and the file in the package of its library
 */
async function findDeclarations(manifest: Manifest, found = new Map<string, string>()) {
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    const folder = path.join('node_modules', name);
    if (!isWorkspacePackage(manifest, name) || found.has(name)) continue;
    const dependency = await readManifest(folder);
    for (const [entry, source] of Object.entries(dependency.exports ?? {})) {
      const file = path.resolve(folder, 'dist', toModulePath(source, '.d.ts'));
      if (!(await exists(file)))
        throw new Error(`${file} is missing: npx nx run ${dependency.nx?.name ?? name}:package`);
      found.set(path.posix.join(name, entry), file);
    }
    await findDeclarations(dependency, found);
  }
  return found;
}

const isWorkspacePackage = (manifest: Manifest, name: string) =>
  name.startsWith(`${manifest.name.split('/')[0]}/`);

/**
 * Compiles what the entry points of a library import, so neither tests nor unused files.
 * @throws Error with the messages of the compiler
 */
async function compile(library: string, manifest: Manifest, folder: string): Promise<void> {
  const config = path.join(folder, 'tsconfig.json');
  const declarations = await findDeclarations(manifest);
  const options = {
    extends: path.resolve('tsconfig.base.json'),
    compilerOptions: {
      ...{ noEmit: false, declaration: true, sourceMap: true, inlineSources: true },
      rewriteRelativeImportExtensions: true,
      rootDir: path.resolve(library, 'src'),
      outDir: path.resolve(folder, compiled),
      paths: Object.fromEntries([...declarations].map(([name, file]) => [name, [file]])),
    },
    files: Object.values(manifest.exports ?? {}).map((source) => path.resolve(library, source)),
  };
  await writeFile(config, JSON.stringify(options));
  try {
    const compiler = path.resolve('node_modules/typescript-native/bin/tsc');
    await promisify(execFile)(process.execPath, [compiler, '--project', config]);
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    throw new Error(stdout || stderr || String(error));
  } finally {
    await rm(config);
  }
}

/**
 * Writes `<library>/dist`: ES modules with source maps and type declarations, package.json, README, LICENSE, and the
 * changelog of all libraries if there is one. Other packages of the workspace that it depends on must have theirs already.
 * @param library its path in the workspace, which is the current folder
 * @throws Error if the library does not compile, or imports a package that it does not declare
 */
export async function packageLibrary(library: string): Promise<void> {
  const manifest = await readManifest(library);
  const folder = path.join(library, 'dist');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await compile(library, manifest, folder);
  const modules = globSync(`${folder}/${compiled}/**/*.js`);
  const declarations = globSync(`${folder}/${compiled}/**/*.d.ts`);
  await rewriteDeclarations(declarations);
  const published = await createPublishedManifest({
    manifest,
    toModulePath,
    imports: await findImports(modules),
    typeImports: await findImports(declarations),
    readManifest: (name) => readManifest(path.join('node_modules', name)),
  });
  await writeFile(path.join(folder, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  await copyFile(path.join(library, 'README.md'), path.join(folder, 'README.md'));
  await copyFile('LICENSE', path.join(folder, 'LICENSE'));
  const changelog = path.join('libs', 'CHANGELOG.md');
  if (await exists(changelog)) await copyFile(changelog, path.join(folder, 'CHANGELOG.md'));
}

if (import.meta.main) {
  const [library, ...others] = process.argv.slice(2);
  if (!library || others.length > 0) {
    console.error('usage: package-library.ts libs/<name>');
    process.exit(2);
  }
  const began = performance.now();
  try {
    await packageLibrary(library);
    console.log(`packaged ${library} in ${Math.round(performance.now() - began)} ms`);
  } catch (error) {
    console.error(`${library}: ${(error as Error).message.trim()}`);
    process.exitCode = 1;
  }
}
