import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/**
 * Searches all files in the folder of a store: data and write-ahead logs of the broker and the database, logs, caches.
 * Skips the programs and the cache of compiled programs, which contain texts of the programs.
 * @param texts texts to find, by name
 * @returns the name and the file of each match
 */
export function findAtRest(home: string, texts: Record<string, string>): string[] {
  const searched = Object.entries(texts).map(([what, text]) => [what, Buffer.from(text)] as const);
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ parentPath, name }) => {
    const path = join(parentPath, name);
    if (/^(compile-cache|artefacts|packages)\//.test(relative(home, path))) return [];
    let content: Buffer;
    try {
      content = readFileSync(path);
    } catch {
      return []; // deleted by the broker or the database
    }
    return searched
      .filter(([, text]) => content.includes(text))
      .map(([what]) => `${what}: ${relative(home, path)}`);
  });
}
