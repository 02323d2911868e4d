import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, it } from '@jest/globals';
import { root } from '../src/workspace.ts';

/** The relative imports of each source file of the workspace, type-only ones included. */
function readImports(): Map<string, string[]> {
  const files = globSync('{apps,libs,tools}/**/*.ts', {
    cwd: root,
    exclude: (path) => /(^|\/)(node_modules|dist)$/.test(path),
  });
  return new Map(
    files.map((file) => {
      const imports = readFileSync(join(root, file), 'utf8').matchAll(/(?:from|import) '(\.[^']+)'/g);
      return [file, [...imports].map(([, path]) => normalize(join(dirname(file), path!)))];
    }),
  );
}

function findCycles(imports: ReadonlyMap<string, string[]>): string[] {
  const finished = new Set<string>();
  const path: string[] = [];
  const cycles: string[] = [];
  const visit = (file: string) => {
    if (path.includes(file)) return void cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (finished.has(file)) return;
    path.push(file);
    imports.get(file)?.forEach(visit);
    path.pop();
    finished.add(file);
  };
  [...imports.keys()].forEach(visit);
  return cycles;
}

it('finds a cycle', () => {
  const imports = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['d', ['b']],
  ]);
  expect(findCycles(imports)).toEqual(['b → d → b']);
});

it('no source file imports itself through others', () => {
  const imports = readImports();
  expect(imports.size).toBeGreaterThan(300);
  expect(findCycles(imports)).toEqual([]);
});
