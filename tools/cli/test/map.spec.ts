import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { mapFolder, readStoreMap, renderFiles } from '../src/commands/map.ts';

const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

// `nx test cli` builds all services first.
it('docs/map shows the current code', () => {
  const outdated = Object.entries(renderFiles(readStoreMap())).filter(
    ([name, text]) => readOrEmpty(join(mapFolder, name)) !== text,
  );
  const names = outdated.map(([name]) => `docs/map/${name}`);
  if (names.length > 0)
    throw new Error(`${names.join(' and ')} must be updated; run: npx jogakbo map --write`);
  expect(names).toEqual([]);
});
