import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from '@jest/globals';
import { listProjects, root } from '../src/workspace.ts';

/** Words of the store: of its services, its roles, its contracts and its market. */
const storeWords = [
  String.raw`\b[oO]rderIds?\b`,
  String.raw`\borders\b`,
  String.raw`\/v1\/order\b`,
  String.raw`\b(place|get|cancel|list|read)-orders?\b`,
  String.raw`\b(Place|Get|Cancel|Read)Orders?\b`,
  String.raw`\bmerchants?\b`,
  String.raw`\bpayments?\b`,
  String.raw`\bcarts?\b`,
  String.raw`\bshoppers?\b`,
  // "a stock Nest client" is one without changes.
  String.raw`\bstock(?! (Nest|client))`,
  String.raw`\bcatalog(ue)?s?\b`,
  String.raw`\bproducts\b`,
  String.raw`\bproductId`,
  String.raw`\bcurrenc(y|ies)\b`,
  String.raw`\bmoney\b`,
  String.raw`\bminorUnit`,
  String.raw`\bcountr(y|ies)\b`,
  String.raw`\bKRW\b`,
  String.raw`\bskus?\b`,
  String.raw`['"]ko\b`,
];
const pattern = new RegExp(storeWords.join('|'), 'gi');

/** Files that may use these words. Each needs a reason. */
const exceptions: [path: RegExp, reason: string][] = [
  [/^apps\/identity\//, 'its pages and mails are translated into Korean'],
  [/^tools\/create\/(test\/store-words|src\/manifest)\.ts$/, 'lists what is left out of a new workspace'],
  [/^tools\/cli\/test\/(platform|documents)\.spec\.ts$/, 'list such words'],
];

const isPlatform = (project: string) =>
  JSON.parse(readFileSync(join(root, project, 'package.json'), 'utf8')).nx.tags.includes('scope:platform');

it('every project belongs either to the platform or to the store', () => {
  const tags = listProjects().map(({ name, tags }) => [name, tags.filter((tag) => /^scope:/.test(tag))]);
  expect(tags.length).toBeGreaterThan(20);
  expect(tags.filter(([, scopes]) => scopes!.length !== 1)).toEqual([]);
});

it('the platform does not know the words of the store', () => {
  const projects = globSync('{apps,libs,libs/contracts,tools}/*/package.json', { cwd: root })
    .map(dirname)
    .filter(isPlatform);
  expect(projects).toEqual(expect.arrayContaining(['apps/gateway', 'libs/contract', 'tools/cli']));
  const files = projects.flatMap((project) =>
    globSync(`${project}/{README*.md,{src,test,violations}/**/*.{ts,mjs,md,json,yml}}`, { cwd: root }),
  );
  expect(files.length).toBeGreaterThan(300);
  const found = files
    .filter((file) => !exceptions.some(([path]) => path.test(file)))
    .flatMap((file) =>
      readFileSync(join(root, file), 'utf8')
        .split('\n')
        .flatMap((line, index) => (line.match(pattern) ?? []).map((word) => `${file}:${index + 1}: ${word}`)),
    );
  expect(found).toEqual([]);
});
