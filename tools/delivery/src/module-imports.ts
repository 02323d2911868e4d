import { readFile, writeFile } from 'node:fs/promises';
import ts from 'typescript';

const readImports = (text: string) => ts.preProcessFile(text, true, true).importedFiles;

/** Finds the packages that these files import: `node:fs` and `@scope/name`, without the path of an entry point. */
export async function findImports(files: readonly string[]): Promise<Set<string>> {
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const specifiers = texts.flatMap((text) => readImports(text).map(({ fileName }) => fileName));
  return new Set(specifiers.filter((name) => !name.startsWith('.')).map(toPackageName));
}

const toPackageName = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Makes declarations import `./name.js` instead of `./name.ts`: the compiler rewrites modules only. */
export async function rewriteDeclarations(files: readonly string[]): Promise<void> {
  await Promise.all(
    files.map(async (file) => {
      let text = await readFile(file, 'utf8');
      for (const { fileName, pos } of readImports(text)) {
        if (!/^\.{1,2}\/.*\.ts$/.test(fileName)) continue;
        const start = text.indexOf(fileName, pos);
        text = `${text.slice(0, start)}${fileName.replace(/\.ts$/, '.js')}${text.slice(start + fileName.length)}`;
      }
      await writeFile(file, text);
    }),
  );
}
