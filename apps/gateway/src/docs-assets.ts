import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compress } from './representation.ts';
import type { RequestContext } from './request-context.ts';

const require = createRequire(import.meta.url);
const folder = dirname(require.resolve('swagger-ui-dist/package.json'));
const { version } = require('swagger-ui-dist/package.json') as { version: string };

export const stylePath = '/docs/swagger-ui.css';
export const scriptPath = '/docs/swagger-ui-bundle.js';

/** Content types by path. */
const types = new Map([
  [stylePath, 'text/css; charset=utf-8'],
  [scriptPath, 'text/javascript; charset=utf-8'],
]);

/**
 * Serves the files of Swagger UI from its npm package. Each is read, and compressed, when a client first requests it in that
 * form; the gateway keeps the result. All forms together have 2.5 MB, those of browsers 0.5 MB.
 */
export class DocsAssets {
  /** By path and content coding. */
  readonly #contents = new Map<string, Promise<Buffer>>();

  /** @returns false if the path is no file of Swagger UI */
  answer(context: RequestContext): boolean {
    const { path } = context;
    const type = types.get(path);
    if (!type) return false;
    context.route = path;
    context.header('content-type', type).header('cache-control', 'no-cache');
    context.sendFile(`"swagger-ui-${version}"`, (coding) => this.#read(path, coding));
    return true;
  }

  #read(path: string, coding: 'gzip' | undefined): Promise<Buffer> {
    const key = `${path} ${coding}`;
    let content = this.#contents.get(key);
    if (!content) {
      content = readFile(join(folder, path.slice('/docs/'.length))).then((file) =>
        coding ? compress(coding, file) : file,
      );
      this.#contents.set(key, content);
      // The next client tries again.
      content.catch(() => this.#contents.delete(key));
    }
    return content;
  }
}
