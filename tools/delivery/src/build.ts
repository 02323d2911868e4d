// Bundles one app with the libraries of this workspace into dist/main.js; packages of others stay outside. Beside it
// dist/bus.json says what the app does on the bus: the deploy step makes of it what its login may do.
// Usage: node tools/delivery/src/build.ts apps/<name> [--watch]
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { transform } from '@swc/core';
import { build, context, type BuildOptions, type Plugin } from 'esbuild';

const [app, flag] = process.argv.slice(2);
if (!app || (flag && flag !== '--watch')) {
  console.error('usage: build.ts apps/<name> [--watch]');
  process.exit(2);
}

/** Nest reads constructor types at run time; esbuild drops them, swc keeps them. */
const decorators: Plugin = {
  name: 'decorators',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      if (!/^\s*@\w+\(/m.test(source)) return undefined;
      const { code } = await transform(source, {
        filename: file,
        sourceMaps: 'inline',
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
      });
      return { contents: code, loader: 'js' };
    });
  },
};

/** Whatever is not of this workspace is resolved at run time, from the app's own dependencies. */
const packagesOutside: Plugin = {
  name: 'packages-outside',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) =>
      kind === 'entry-point' || name.startsWith('@jogakbo/') ? undefined : { path: name, external: true },
    );
  },
};

/** A contract that contradicts itself, such as a route that does not say who may use it, fails the build here. */
const bus: Plugin = {
  name: 'bus',
  setup({ onEnd }) {
    onEnd(async ({ errors }) => {
      if (errors.length > 0) return undefined;
      try {
        const main = path.join(app, 'dist/main.js');
        const { stdout } = await promisify(execFile)(process.execPath, [main, 'describe']);
        await writeFile(path.join(app, 'dist/bus.json'), stdout);
        return undefined;
      } catch (error) {
        return { errors: [{ text: `it does not say what it does on the bus: ${(error as Error).message}` }] };
      }
    });
  },
};

const report: Plugin = {
  name: 'report',
  setup({ onStart, onEnd }) {
    let startedAt = 0;
    onStart(() => void (startedAt = performance.now()));
    onEnd(({ errors }) => {
      if (errors.length === 0) console.log(`built ${app} in ${Math.round(performance.now() - startedAt)} ms`);
    });
  },
};

const options: BuildOptions = {
  entryPoints: [path.join(app, 'src/main.ts')],
  outfile: path.join(app, 'dist/main.js'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: true,
  logLevel: 'warning',
  plugins: [packagesOutside, decorators, bus, report],
};

if (flag === '--watch') await (await context(options)).watch();
else await build(options);
