import { join } from 'node:path';
import { formatFiles, generateFiles, type Tree } from '@nx/devkit';
import { findEvent, getPackage } from '../contracts.ts';
import { formatExample, readEventFacts } from '../event-key.ts';
import { finish } from '../finish.ts';
import { GeneratorError } from '../generator-error.ts';
import * as names from '../names.ts';
import { assertDatabase, assertNewFiles, editModule } from '../service-edits.ts';
import { findService } from '../service-files.ts';
import { addDependency } from '../workspace-packages.ts';

export interface ProjectionOptions {
  service: string;
  name: string;
  /** Its full name. */
  event: string;
  key?: string;
}

/** Generates a read model with one row per key of an event of another service, and its test. */
export default async function generateProjection(
  tree: Tree,
  { service, name, event, key }: ProjectionOptions,
): Promise<() => Promise<void>> {
  const files = findService(tree, service);
  names.assertConstantName(name, 'projection');
  assertDatabase(tree, files);
  const source = await findEvent(tree.root, event);
  if (source.service === service)
    throw new GeneratorError(
      `${event} is an event of ${service} itself: a projection of this kind stores events of other services.`,
      'Project the aggregate instead: projection(…).of(aggregate, …) in libs/consistency.',
    );
  const facts = readEventFacts(source.contract, key);
  const projectionFile = `${files.folder}/src/${name}.projection.ts`;
  const specFile = `${files.folder}/test/${name}.int.spec.ts`;
  assertNewFiles(tree, [projectionFile, specFile]);
  const constant = names.toCamelCase(name);
  editModule(tree, files, (edits) => {
    edits.assertFree(constant);
    edits.addImport('eventStoreMigrations', '@jogakbo/consistency');
    edits.addSpreadToService('migrations', 'eventStoreMigrations');
    edits.addImport(constant, `./${name}.projection.ts`);
    edits.addToService('projections', constant);
  });
  addDependency(tree, files.folder, getPackage(source));
  generateFiles(tree, join(import.meta.dirname, 'files'), files.folder, {
    name,
    constant,
    readModel: names.toSnakeCase(name),
    table: names.toSqlName(names.toSnakeCase(name)),
    column: names.toSqlName(names.toSnakeCase(names.toKebabCase(facts.key))),
    columnType: facts.isUuid ? 'uuid' : 'text',
    event: source.exportName,
    eventName: event,
    contractPackage: getPackage(source),
    moduleClass: files.moduleClass,
    moduleImport: `../${files.moduleFile.slice(files.folder.length + 1)}`,
    key: facts.key,
    keyExample: facts.example[facts.key],
    example: formatExample(facts),
  });
  await formatFiles(tree);
  return () =>
    finish(tree.root, { projects: [files.folder], services: [service] }, [
      `${service} keeps the newest ${event} for each ${facts.key} in the read model ${names.toSnakeCase(name)}.`,
      `Change its tables and its handlers in ${projectionFile}, and read it in a query: nx g query ${service} …`,
    ]);
}
