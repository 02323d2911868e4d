import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { RequestContext } from './request-context.ts';

const compress = promisify(gzip);

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
 * Serves the files of Swagger UI from its npm package. The gateway keeps no copy of them (the script has 1.7 MB): a file is
 * read and compressed when a client has no current version.
 */
export class DocsAssets {
  /** Reads in progress, by path and content coding. */
  readonly #reads = new Map<string, Promise<Buffer>>();
  /** Contents that a response still uses. So concurrent clients, also those that read slowly, share one copy. */
  readonly #inUse = new Map<string, WeakRef<Buffer>>();

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

  async #read(path: string, coding: 'gzip' | undefined): Promise<Buffer> {
    const key = `${path} ${coding}`;
    const used = this.#inUse.get(key)?.deref();
    if (used) return used;
    let read = this.#reads.get(key);
    if (!read) {
      read = readFile(join(folder, path.slice('/docs/'.length)))
        .then((content) => (coding ? compress(content) : content))
        .finally(() => this.#reads.delete(key));
      this.#reads.set(key, read);
    }
    const content = await read;
    this.#inUse.set(key, new WeakRef(content));
    return content;
  }
}
