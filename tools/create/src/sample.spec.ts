import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { removeProjects, type LockFile } from '@jogakbo/generators/lock-file';
import generateService from '@jogakbo/generators/service';
import { FsTree } from 'nx/src/generators/tree';
import { repository } from './create-workspace.ts';

const sample = 'tools/create/sample';
const own = ['apps/notes', 'libs/contracts/notes'];

/** After a change of the templates: TEST_UPDATE_SAMPLE=1 npx nx test create */
it('the sample is a generated service', async () => {
  const tree = new FsTree(repository, false);
  const lock = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as LockFile;
  const others = removeProjects(
    lock,
    own.map((folder) => `${sample}/${folder}`),
  );
  tree.write('package-lock.json', JSON.stringify(others));
  await generateService(tree, { name: 'notes', timestamp: 1_700_000_010_000 });
  const generated = tree
    .listChanges()
    .filter(({ path }) => own.some((folder) => path.startsWith(`${folder}/`)));
  expect(generated).toHaveLength(15);
  if (process.env['TEST_UPDATE_SAMPLE'])
    for (const { path, content } of generated) writeFileSync(join(repository, sample, path), content!);
  for (const { path, content } of generated)
    expect([path, readFileSync(join(repository, sample, path), 'utf8')]).toEqual([path, content!.toString()]);
});
