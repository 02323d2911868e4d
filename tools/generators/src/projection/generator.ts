import { join } from 'node:path';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { addEventPart, type EventPartOptions } from '../event-part.ts';
import { finish } from '../finish.ts';
import { GeneratorError } from '../generator-error.ts';
import * as names from '../names.ts';
import { editModule } from '../service-edits.ts';

/** Generates a read model with one row per key of an event of another service, and its test. */
export default async function generateProjection(
  tree: Tree,
  options: EventPartOptions,
): Promise<() => Promise<void>> {
  const { service, name, event: eventName } = options;
  const { files, event, facts, substitutions } = await addEventPart(
    tree,
    'projection',
    options,
    `test/${name}.int.spec.ts`,
  );
  if (event.service === service)
    throw new GeneratorError(
      `${eventName} is an event of ${service} itself: a projection of this kind stores events of other services.`,
      'Project the aggregate instead: projection(…).of(aggregate, …) in libs/consistency.',
    );
  editModule(tree, files, (edits) => {
    edits.addImport('eventStoreMigrations', '@jogakbo/consistency');
    edits.addSpreadToService('migrations', 'eventStoreMigrations');
  });
  const readModel = names.toSnakeCase(name);
  generateFiles(tree, join(import.meta.dirname, 'files'), files.folder, {
    ...substitutions,
    readModel,
    table: names.toSqlName(readModel),
    column: names.toSqlName(names.toSnakeCase(names.toKebabCase(facts.key))),
    columnType: facts.isUuid ? 'uuid' : 'text',
    moduleClass: files.moduleClass,
    moduleImport: files.moduleImport,
  });
  await formatFiles(tree);
  return () =>
    finish(
      tree.root,
      [files.folder],
      [
        `${service} keeps the newest ${eventName} for each ${facts.key} in the read model ${readModel}.`,
        `Change its tables and its handlers in ${files.folder}/src/${name}.projection.ts, and read it in a query: nx g query ${service} …`,
      ],
    );
}
