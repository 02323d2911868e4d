import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { createProgram } from '../src/command-line/program.ts';
import { listReferencePages, referenceFolder, renderReference } from '../src/commands/docs.ts';
import { root } from '../src/workspace.ts';

// `nx test cli` builds all services first.
it('docs/reference shows the current code', () => {
  const pages = renderReference(createProgram());
  const written = listReferencePages(root).map(
    (path) => [path, readFileSync(join(root, referenceFolder, path), 'utf8')] as const,
  );
  const outdated = Object.keys({ ...pages, ...Object.fromEntries(written) }).filter(
    (path) => new Map(written).get(path) !== pages[path],
  );
  if (outdated.length > 0)
    throw new Error(
      `${outdated.map((path) => join(referenceFolder, path)).join(', ')} must be updated; run: npx jogakbo docs --write`,
    );
  expect(Object.keys(pages)).toEqual(
    expect.arrayContaining(['settings.md', 'events.md', 'contracts/registry.md']),
  );
});
