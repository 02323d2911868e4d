import { join } from 'node:path';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { addEventPart, type EventPartOptions } from '../event-part.ts';
import { finish } from '../finish.ts';
import * as names from '../names.ts';

/** Generates a saga that starts with an event and ends after ten minutes, and its test. */
export default async function generateSaga(
  tree: Tree,
  options: EventPartOptions,
): Promise<() => Promise<void>> {
  const { name } = options;
  const { files, event, substitutions } = await addEventPart(
    tree,
    'saga',
    options,
    `src/${name}.saga.spec.ts`,
  );
  generateFiles(tree, join(import.meta.dirname, 'files'), files.folder, {
    ...substitutions,
    eventConstant: names.toCamelCase(names.toKebabCase(event.exportName).slice(1)),
  });
  await formatFiles(tree);
  return () =>
    finish(
      tree.root,
      [files.folder],
      [
        `Each ${options.event} starts a run of the saga ${name}, which ends after ten minutes.`,
        `Add its steps in ${files.folder}/src/${name}.saga.ts: on this event, send that command.`,
        `List the commands of other services that it sends in "calls" of ${files.moduleFile}.`,
      ],
    );
}
