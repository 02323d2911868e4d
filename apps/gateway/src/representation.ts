import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import pLimit from 'p-limit';

export type Coding = 'br' | 'gzip';

/** As many as Node's thread pool runs. Each one takes memory from its start, up to 400 KB beside its content. */
const limit = pLimit(4);
const run = { br: promisify(brotliCompress), gzip: promisify(gzip) };
/** Level 4 of 11: as fast as gzip, with a smaller result. */
const brotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

/** Compresses content. Waits while too many contents are being compressed. */
export const compress = (coding: Coding, content: string | Buffer): Promise<Buffer> =>
  limit(() => run[coding](content, coding === 'br' ? brotliOptions : {}));

/** One version of a document. It is compressed once per content coding, for all requests that share it. */
export class Representation {
  #compressed: { [coding in Coding]?: Promise<Buffer> } | undefined;

  /** @param etag in its HTTP form, with quotes */
  constructor(
    readonly text: string,
    readonly etag: string,
  ) {}

  /** The text in a content coding. */
  compress(coding: Coding): Promise<Buffer> {
    const known = (this.#compressed ??= {})[coding];
    if (known) return known;
    const compressed = compress(coding, this.text);
    this.#compressed[coding] = compressed;
    // The next request tries again.
    compressed.catch(() => delete this.#compressed![coding]);
    return compressed;
  }
}
