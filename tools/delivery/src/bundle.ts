import { existsSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { transform } from '@swc/core';
import type { BuildOptions, Plugin } from 'esbuild';
import { parseSwcError } from './build-errors.ts';

/** Nest reads constructor types at run time; esbuild drops them, swc keeps them. */
const decorators: Plugin = {
  name: 'decorators',
  setup({ onLoad }) {
    const kept = new Map<string, { source: string; contents: string }>();
    onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      if (!/^\s*@\w+\(/m.test(source)) return undefined;
      const before = kept.get(file);
      if (before?.source === source) return { contents: before.contents, loader: 'js' };
      try {
        const { code } = await transform(source, {
          filename: file,
          sourceMaps: 'inline',
          jsc: {
            target: 'es2022',
            parser: { syntax: 'typescript', decorators: true },
            transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
          },
        });
        kept.set(file, { source, contents: code });
        return { contents: code, loader: 'js' };
      } catch (error) {
        return { errors: parseSwcError((error as Error).message) };
      }
    });
  },
};

/** The folder of the package that code in `folder` imports as `name`. */
function findPackage(name: string, folder: string): string | undefined {
  for (let place = folder; ; place = path.dirname(place)) {
    const found = path.join(place, 'node_modules', name);
    if (existsSync(found)) return found;
    if (place === path.dirname(place)) return undefined;
  }
}

/**
 * Leaves packages from outside the workspace out of the bundle, which imports them by name. Where a library has another
 * version of a package than the app, the bundle imports that version by its path.
 */
const packagesOutside = (app: string): Plugin => ({
  name: 'packages-outside',
  setup({ onResolve, resolve }) {
    const appFolder = path.resolve(app);
    const isInsideResolve = Symbol();
    onResolve({ filter: /^[^./]/ }, async ({ path: name, kind, resolveDir, importer, pluginData }) => {
      if (kind === 'entry-point' || name.startsWith('@jogakbo/') || pluginData === isInsideResolve)
        return undefined;
      const packageName = /^(@[^/]+\/)?[^/]+/.exec(name)![0];
      const place = findPackage(packageName, resolveDir);
      const isShared = isBuiltin(name) || place === findPackage(packageName, appFolder);
      if (isShared || !place) return { path: name, external: true };
      const found = await resolve(name, { resolveDir, importer, kind, pluginData: isInsideResolve });
      if (found.errors.length > 0) return { errors: found.errors };
      // Its place in this workspace, also if it is a link to another one: the bundle is the same everywhere.
      const file = path.join(place, path.relative(realpathSync(place), found.path));
      return { path: path.relative(path.join(appFolder, 'dist'), file), external: true };
    });
  },
});

/**
 * How the sources of `app`, such as `apps/one`, become `dist/main.js`. The result depends on the sources, this file and
 * the versions of esbuild and swc only: they are part of the content of every service, see content.ts.
 */
export const getBundleOptions = (app: string): BuildOptions => ({
  entryPoints: [path.join(app, 'src/main.ts')],
  outfile: path.join(app, 'dist/main.js'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  // Only those that Node uses as well.
  conditions: [],
  sourcemap: true,
  // Every process keeps its source map, and needs only the positions.
  sourcesContent: false,
  metafile: true,
  logLevel: 'silent',
  plugins: [packagesOutside(app), decorators],
});
