import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * The files of a store's folder that contain a text, whatever they are: data and write-ahead logs of the broker and the
 * database, logs, caches. Only the cache of compiled programs is left out: it holds their own texts.
 * @param texts texts to look for, by what each is
 * @returns for each text that was found: what it is, and the file
 */
export function findAtRest(home: string, texts: Record<string, string>): string[] {
  const wanted = Object.entries(texts).map(([what, text]) => [what, Buffer.from(text)] as const);
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ parentPath, name }) => {
    const path = join(parentPath, name);
    if (relative(home, path).startsWith('compile-cache/')) return [];
    let content: Buffer;
    try {
      content = readFileSync(path);
    } catch {
      return []; // it is gone: the broker and the database delete files while they run
    }
    return wanted
      .filter(([, text]) => content.includes(text))
      .map(([what]) => `${what}: ${relative(home, path)}`);
  });
}
